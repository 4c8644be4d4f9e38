"""`pipe data check`: what is wrong with a data set, as a compiler says it: file, frame, vertex, how to mend it."""
