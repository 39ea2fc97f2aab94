"""How the store keeps what was found: the spool, the database, tables for other programs."""
