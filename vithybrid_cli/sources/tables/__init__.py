"""Parquet and Arrow tables: each row is a picture, or leads to one.

A row that holds the bytes of a picture is called ``parquet://17::train.parquet``, numbered from 0; in a column of
lists each picture of the row has its own number, ``parquet://17/0::train.parquet``. A row that holds a path or an
address and no bytes is the picture there, under its own name, as the entry of a list would be.
"""
