"""What tests of several rooms share: sizes, files that are made for a test, servers."""
