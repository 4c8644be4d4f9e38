"""One module or folder per stage; each reads input artifacts, calls the domain code and fills one artifact."""
