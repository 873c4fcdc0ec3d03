"""Room of Quaywatch."""
