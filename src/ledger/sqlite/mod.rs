//! SQLite behind the ledger's contracts.
