"""Prefect sockets: each task is a decorator and a few lines that call the library."""
