"""`trapmid audit`: a study of one classifier of your own, in a folder of its own."""
