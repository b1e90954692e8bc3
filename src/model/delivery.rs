//! A delivery as it was received: one HTTP request to a source, nothing believed yet.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Headers, Timestamp};

/// Our own id of a delivery, a version 7 uuid: ids sort by the time of receipt. An event is known by its first one's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub Uuid);

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One request to a source: the exact bytes that a signature covers.
#[derive(Clone)]
pub struct Delivery {
    /// Our id of it.
    pub id: DeliveryId,
    /// The method, in upper case.
    pub method: Box<str>,
    /// The query, as it came; empty where there is none.
    pub query: Box<str>,
    /// Its header fields.
    pub headers: Headers,
    /// The body's bytes as they came.
    pub body: Bytes,
    /// The wall clock when its head had been read.
    pub received_at: Timestamp,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("id", &self.id).field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}
