"""MLflow: what it shows of a study, and the store that it keeps."""
