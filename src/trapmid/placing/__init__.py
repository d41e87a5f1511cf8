"""Data sets that somebody has, put where a study reads them: linked, copied or unpacked."""
