//! The provider: makes events, signs and sends them, sends them again until they are acknowledged and often once more, and
//! writes down every request and every answer.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::pulse::{Mark, Pulse};
use super::wire::{Connection, Message};
use super::{now, unix_now_s};
use crate::helpers::sender::{self, Fields, hex_text};

pub(super) const STRIPE_SECRET: &str = "whsec_of_the_crash_test_and_of_nobody_else";
pub(super) const GITHUB_SECRET: &str = "the crash test's own secret, no one else's";
/// Of 100 deliveries so many are repeats.
const REPEATS_PERCENT: u32 = 30;
/// Of 100 deliveries so many are signed by somebody else.
const FORGED_PERCENT: u32 = 3;
/// Most bytes of a body's filling.
const FILLING_MAX: usize = 3_000;

/// One event of a provider, or what a forger would have taken for one.
#[derive(Debug)]
pub(super) struct Event {
    /// The configured source, which is the provider's name too.
    pub(super) source: &'static str,
    pub(super) id: String,
    pub(super) body: Vec<u8>,
    pub(super) forged: bool,
}

impl Event {
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.source, self.id)
    }

    /// SHA-256 of the body.
    pub(super) fn digest(&self) -> String {
        hex_text(ring::digest::digest(&ring::digest::SHA256, &self.body).as_ref())
    }

    fn made(number: usize, random: &mut fastrand::Rng, forged: bool) -> Self {
        let filling: String = (0..random.usize(0..FILLING_MAX)).map(|_| random.alphanumeric()).collect();
        let kind = if forged { "forged" } else { "made" };
        if random.bool() {
            let id = format!("evt_{kind}_{number}");
            let body = format!(r#"{{"id":"{id}","type":"invoice.paid","data":{{"filling":"{filling}"}}}}"#);
            return Self { source: "stripe", id, body: body.into_bytes(), forged };
        }
        let id = format!("{kind}-{number}-{:08x}", random.u32(..));
        let body = format!(r#"{{"action":"opened","number":{number},"filling":"{filling}"}}"#);
        Self { source: "github", id, body: body.into_bytes(), forged }
    }

    fn signed(&self) -> Fields {
        match (self.source, self.forged) {
            ("stripe", false) => sender::stripe(STRIPE_SECRET, unix_now_s(), &self.body),
            ("stripe", true) => sender::stripe("another secret", unix_now_s(), &self.body),
            (_, false) => sender::github(GITHUB_SECRET, &self.id, "issues", &self.body),
            (_, true) => sender::github("another secret", &self.id, "issues", &self.body),
        }
    }
}

/// One delivery.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) event: Arc<Event>,
    pub(super) at: Instant,
    /// None where the connection broke.
    pub(super) answer: Option<Message>,
}

struct Plan {
    random: fastrand::Rng,
    /// Every event that was sent at least once.
    events: Vec<Arc<Event>>,
    made: usize,
    /// Not acknowledged yet, and nobody has them in hand.
    owed: VecDeque<Arc<Event>>,
    only_owed: bool,
}

/// See the module.
pub(super) struct Provider {
    gateway: SocketAddr,
    pulse: Arc<Pulse>,
    plan: Mutex<Plan>,
    history: Mutex<Vec<Sent>>,
}

impl Provider {
    pub(super) fn new(seed: u64, gateway: SocketAddr, pulse: Arc<Pulse>) -> Self {
        let random = fastrand::Rng::with_seed(seed.wrapping_add(1));
        let plan = Plan { random, events: Vec::new(), made: 0, owed: VecDeque::new(), only_owed: false };
        Self { gateway, pulse, plan: Mutex::new(plan), history: Mutex::new(Vec::new()) }
    }

    /// One connection's work, until nothing is owed.
    pub(super) fn drive(&self) {
        let mut connection = None;
        while let Some(event) = self.next() {
            let open = connection.take().unwrap_or_else(|| self.connected());
            connection = self.deliver(open, event);
        }
    }

    fn connected(&self) -> Connection {
        loop {
            self.pulse.wait_until_up();
            // It is refused in the moment between a kill and the word of it.
            if let Ok(connection) = Connection::to(self.gateway) {
                return connection;
            }
        }
    }

    /// No new events, no repeats: only what is not acknowledged.
    pub(super) fn only_what_is_owed(&self) {
        self.plan().only_owed = true;
    }

    /// In the order that the answers came, or failed to come.
    pub(super) fn history(&self) -> Vec<Sent> {
        self.history.lock().expect("nobody panicked").clone()
    }

    /// Every event that is no forgery.
    pub(super) fn events(&self) -> Vec<Arc<Event>> {
        self.plan().events.clone()
    }

    /// Gives the connection back if it is still good.
    fn deliver(&self, mut connection: Connection, event: Arc<Event>) -> Option<Connection> {
        let at = now();
        let path = format!("POST /hooks/{} HTTP/1.1", event.source);
        let mut fields = event.signed();
        fields.push(("Host".to_owned(), self.gateway.to_string()));
        let sent = connection.send(&path, &fields, &event.body);
        self.pulse.beat(Mark::Sent);
        let answer = sent.and_then(|()| connection.receive()).ok();
        if answer.is_some() {
            self.pulse.beat(Mark::Answered);
        }
        let settled = answer.as_ref().is_some_and(|answer| (200..300).contains(&answer.status()) || answer.status() == 401);
        let good = answer.is_some().then_some(connection);
        self.history.lock().expect("nobody panicked").push(Sent { event: Arc::clone(&event), at, answer });
        if !settled {
            self.owe(event);
        }
        good
    }

    fn next(&self) -> Option<Arc<Event>> {
        let plan = &mut *self.plan();
        if plan.only_owed {
            return plan.owed.pop_front();
        }
        let dice = plan.random.u32(0..100);
        if dice < REPEATS_PERCENT && !plan.events.is_empty() {
            // Half of them of the newest, which may be in the gateway's hand at this moment.
            let newest = if plan.random.bool() { CONNECTIONS_BACK.min(plan.events.len()) } else { plan.events.len() };
            let back = plan.random.usize(1..=newest);
            return Some(Arc::clone(&plan.events[plan.events.len() - back]));
        }
        if dice >= 100 - FORGED_PERCENT {
            plan.made += 1;
            return Some(Arc::new(Event::made(plan.made, &mut plan.random, true)));
        }
        if let Some(owed) = plan.owed.pop_front() {
            return Some(owed);
        }
        plan.made += 1;
        let event = Arc::new(Event::made(plan.made, &mut plan.random, false));
        plan.events.push(Arc::clone(&event));
        Some(event)
    }

    fn owe(&self, event: Arc<Event>) {
        self.plan().owed.push_back(event);
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().expect("nobody panicked")
    }
}

/// The newest so many events are likely still in hand on another connection.
const CONNECTIONS_BACK: usize = super::CONNECTIONS;
