//! What the tests share.

pub(crate) mod evidence;
pub(crate) mod sender;
pub(crate) mod store;
