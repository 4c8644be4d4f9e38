"""SyncNet: do lips and sound go together, and by how much are they apart? The network of Chung and Zisserman, "Out of
time: automated lip sync in the wild", ACCV workshops 2016, in the sizes of the file that its authors hand out, and the
two numbers of Prajwal et al., "A lip sync expert is all you need", ACM MM 2020 (Wav2Lip): LSE-D and LSE-C.

It moves no face and learns nothing here. Written from the papers and from names and shapes of the file's entries.
"""
