//! What is known of a provider, as data.
