"""What a number says beyond the sample that it was measured on."""
