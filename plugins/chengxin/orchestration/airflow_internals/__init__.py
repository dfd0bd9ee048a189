"""What is imported from Airflow beyond its public interface, a module for each need: here and nowhere else.

Any release of Airflow may move it. Each module names the public alternative and why it is not used. All other modules
import `airflow.sdk`, operators of providers, and what Airflow documents for plugins; import-linter holds this. Nothing
here imports another part of orchestration.
"""
