"""Bytes to meaning, without I/O: the upper layer (PS3.8), DIMSE (PS3.7), data sets (PS3.5).

Nothing in here knows of captures, TCP or output. Malformed bytes are data: a decoder returns
what it could read together with faults that say what is wrong and where.
"""
