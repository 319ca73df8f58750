"""The durable state in one SQLite file: accounts and their credits, jobs, and the deliveries their ends call for."""
