"""What the end-to-end tests are built from. Nothing here knows how the daemon works inside."""
