//! What is sent: GitHub-like deliveries, signed beforehand.

use ring::hmac;

/// The secret of the source.
pub(crate) const SECRET: &str = "a secret that only this benchmark knows";
/// Of 100 deliveries so many are repeats of an earlier one.
const REPEATS_PERCENT: u32 = 10;

/// How ids follow each other. It decides how many index pages a group of events dirties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// Version 4 UUIDs: each falls anywhere.
    Random,
    /// Version 1 UUIDs, as GitHub's: near the one before.
    TimeBased,
}

/// Whole requests, in the order in which they are sent.
pub(crate) struct Deliveries {
    pub(crate) warm_up: Vec<Vec<u8>>,
    pub(crate) measured: Vec<Vec<u8>>,
    /// Events among the first.
    pub(crate) warm_distinct: usize,
    /// Events among the second.
    pub(crate) distinct: usize,
    /// Middle size of a body.
    pub(crate) body_bytes: usize,
}

impl Deliveries {
    pub(crate) fn make(ids: Ids, warm_up: usize, sends: usize) -> Self {
        let mut maker = Maker { ids, random: fastrand::Rng::with_seed(1), clock: 0x1f0_55aa_0000_0000, body_bytes: 0, made: 0 };
        let (warm_up, warm_distinct) = maker.series(warm_up);
        let (measured, distinct) = maker.series(sends);
        Self { warm_up, measured, warm_distinct, distinct, body_bytes: maker.body_bytes / maker.made }
    }
}

struct Maker {
    ids: Ids,
    random: fastrand::Rng,
    /// In units of 100 ns, as in a version 1 UUID.
    clock: u64,
    body_bytes: usize,
    made: usize,
}

impl Maker {
    fn series(&mut self, sends: usize) -> (Vec<Vec<u8>>, usize) {
        let mut all: Vec<Vec<u8>> = Vec::with_capacity(sends);
        let mut distinct = 0;
        for _ in 0..sends {
            if !all.is_empty() && self.random.u32(0..100) < REPEATS_PERCENT {
                all.push(all[self.random.usize(0..all.len())].clone());
            } else {
                distinct += 1;
                all.push(self.request());
            }
        }
        (all, distinct)
    }

    fn request(&mut self) -> Vec<u8> {
        let (id, body) = (self.id(), self.body());
        self.made += 1;
        self.body_bytes += body.len();
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), body.as_bytes());
        let signature = hex::encode(tag.as_ref());
        format!(
            "POST /hooks/github HTTP/1.1\r\nHost: hooks.example.com\r\nUser-Agent: GitHub-Hookshot/760256b\r\nAccept: */*\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\nX-GitHub-Delivery: {id}\r\nX-GitHub-Event: pull_request\r\n\
             X-GitHub-Hook-ID: 292430182\r\nX-GitHub-Hook-Installation-Target-ID: 79929171\r\n\
             X-GitHub-Hook-Installation-Target-Type: repository\r\nX-Hub-Signature-256: sha256={signature}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    fn id(&mut self) -> String {
        let (time, mut tail) = match self.ids {
            Ids::Random => ((self.random.u64(..) & !0xf000) | 0x4000, self.random.u64(..)),
            Ids::TimeBased => {
                self.clock += self.random.u64(1_000..50_000);
                let (low, mid, high) = (self.clock & 0xffff_ffff, (self.clock >> 32) & 0xffff, (self.clock >> 48) & 0xfff);
                ((low << 32) | (mid << 16) | 0x1000 | high, 0x81ab_4c93_67dc_0958)
            }
        };
        tail = (tail & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            time >> 32,
            (time >> 16) & 0xffff,
            time & 0xffff,
            tail >> 48,
            tail & 0xffff_ffff_ffff
        )
    }

    /// About 2 KiB, as random as such bodies are: hashes, numbers, names and words.
    fn body(&mut self) -> String {
        let mut commits = Vec::new();
        for _ in 0..self.random.usize(4..8) {
            commits.push(format!(
                r#"{{"id":"{:040x}","message":"{}","timestamp":"2026-11-24T04:{:02}:{:02}Z","author":{{"name":"{}","email":"{}@example.com"}},"added":["src/{}.rs"],"removed":[],"modified":["{}.md"]}}"#,
                self.random.u128(..), self.words(6), self.random.u32(0..60), self.random.u32(0..60), self.words(2), self.words(1),
                self.words(1), self.words(1)
            ));
        }
        format!(
            r#"{{"action":"synchronize","number":{},"pull_request":{{"id":{},"node_id":"PR_{:016x}","state":"open","title":"{}","body":"{}","head":{{"sha":"{:040x}"}},"base":{{"sha":"{:040x}"}},"commits":[{}]}},"repository":{{"id":79929171,"full_name":"example/service","private":true}},"sender":{{"login":"{}","id":{}}}}}"#,
            self.random.u32(1..9999),
            self.random.u32(..),
            self.random.u64(..),
            self.words(6),
            self.words(40),
            self.random.u128(..),
            self.random.u128(..),
            commits.join(","),
            self.words(1),
            self.random.u32(..)
        )
    }

    fn words(&mut self, count: usize) -> String {
        let word = |random: &mut fastrand::Rng| (0..random.usize(3..9)).map(|_| random.lowercase()).collect::<String>();
        (0..count).map(|_| word(&mut self.random)).collect::<Vec<_>>().join(" ").replace(' ', if count < 3 { "_" } else { " " })
    }
}
