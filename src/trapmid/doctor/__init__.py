"""`trapmid doctor`: what this machine and this folder have of what a study needs."""
