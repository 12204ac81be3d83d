"""What every room uses: errors, files, what is shipped, compilation."""
