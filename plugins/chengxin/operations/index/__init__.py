"""What operators see of a home: an index that follows it, and what is read through the index. Read-only, no Airflow.

index.py       one SQLite file beside the data; may always be deleted and is then made anew
follower.py   brings the index up to date: contracts, landed batches, outcomes, the journal, snapshots; `__main__.py`
               does so in a process of its own; files.py reads the many small files
*_index.py     what of a contract, batch, answer or snapshot goes into the index, and the sums
arrivals.py    what arrived, what is late, day by day
lists.py       batches, queues and totals with filters
rows.py        the refused and the waiting rows themselves, values hidden unless the reader may see them
redaction.py      how a value is hidden
tables.py      rows as CSV that no spreadsheet runs
snapshots.py   versions of the published data set and how they differ
"""
