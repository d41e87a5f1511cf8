"""The published procedures, slow as they are: to be measured, and to be compared with."""
