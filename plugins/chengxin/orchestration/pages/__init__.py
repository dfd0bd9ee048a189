"""The pages inside Airflow: a FastAPI app behind Airflow's own authentication, and its entries in the navigation.

Server-rendered pages over chengxin.operations.index. Nothing is loaded from outside; charts are drawn by ECharts
(static/, Apache-2.0, unchanged). Every route asks for a session and shows only data sets whose DAG the reader may read.
"""
