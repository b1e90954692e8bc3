//! Which handlers get an event: by source and by globs over its type.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::{HandlerName, SourceName, TypeGlob};

/// What one handler hears.
#[derive(Clone, Debug)]
pub struct Route {
    /// The handler.
    pub handler: HandlerName,
    /// The sources that it hears; none is all.
    pub sources: Option<Vec<SourceName>>,
    /// The types that it wants; empty is all.
    pub events: Vec<TypeGlob>,
}

impl Route {
    fn takes(&self, source: &SourceName, event_type: &str) -> bool {
        let hears = self.sources.as_ref().is_none_or(|sources| sources.contains(source));
        hears && (self.events.is_empty() || self.events.iter().any(|glob| glob.matches(event_type)))
    }
}

/// No handler has this name; these are the names that there are.
#[derive(Debug, thiserror::Error)]
#[error("there is no handler `{0}`: configured are {1}")]
pub struct UnknownHandler(HandlerName, String);

/// What every handler hears.
#[derive(Clone, Debug, Default)]
pub struct Routes(Arc<[Route]>);

impl Routes {
    /// These.
    #[must_use]
    pub fn new(routes: Vec<Route>) -> Self {
        Self(routes.into())
    }

    /// The handlers that get an event of this source and type, in the order of the configuration.
    #[must_use]
    pub fn matching(&self, source: &SourceName, event_type: &str) -> Arc<[HandlerName]> {
        self.0.iter().filter(|route| route.takes(source, event_type)).map(|route| route.handler.clone()).collect()
    }

    /// Whether there is a handler of this name.
    #[must_use]
    pub fn has(&self, name: &HandlerName) -> bool {
        self.handlers().any(|known| known == name)
    }

    /// That there is a handler of this name.
    ///
    /// # Errors
    /// There is none.
    pub fn check(&self, name: &HandlerName) -> Result<(), UnknownHandler> {
        if self.has(name) { Ok(()) } else { Err(UnknownHandler(name.clone(), self.names())) }
    }

    /// Every handler's name, for people.
    #[must_use]
    pub fn names(&self) -> String {
        let names = self.handlers().map(HandlerName::as_str).collect::<Vec<_>>();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    /// Every handler.
    pub fn handlers(&self) -> impl Iterator<Item = &HandlerName> {
        self.0.iter().map(|route| &route.handler)
    }
}

/// Types that no handler wants, and when that was said last: at most once an hour for each.
#[derive(Debug, Default)]
pub(super) struct Unwanted(Mutex<HashMap<(SourceName, Arc<str>), Duration>>);

/// How long a warning is good for.
const WARN_EVERY: Duration = Duration::from_secs(3600);
/// Most types that are remembered, so most warnings in an hour: a type may come from an unsigned header.
const TYPES_MAX: usize = 1024;

impl Unwanted {
    /// Whether it is time to warn about this type, at this monotonic time.
    pub(super) fn is_news(&self, source: &SourceName, event_type: &Arc<str>, monotonic: Duration) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (source.clone(), Arc::clone(event_type));
        let is_recent = |last: &Duration| monotonic.saturating_sub(*last) < WARN_EVERY;
        if said.len() >= TYPES_MAX {
            said.retain(|_, last| is_recent(last));
        }
        match said.get(&key) {
            Some(last) if is_recent(last) => false,
            None if said.len() >= TYPES_MAX => false,
            _ => {
                said.insert(key, monotonic);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_nobody_wants_is_warned_about_once_an_hour() {
        let unwanted = Unwanted::default();
        let source = SourceName::parse("stripe").expect("a name");
        let news = |event_type: &str, at_s| unwanted.is_news(&source, &event_type.into(), Duration::from_secs(at_s));
        assert!(news("a", 0));
        assert!(!news("a", 3599));
        assert!(news("b", 3599));
        assert!(news("a", 3600));
    }

    #[test]
    fn a_flood_of_types_costs_the_warnings_of_an_hour_and_no_more() {
        let unwanted = Unwanted::default();
        let source = SourceName::parse("github").expect("a name");
        let news = |event_type: &str, at_s| unwanted.is_news(&source, &event_type.into(), Duration::from_secs(at_s));
        let said = (0..2 * TYPES_MAX).filter(|n| news(&format!("made-up-{n}"), 0)).count();
        assert_eq!(said, TYPES_MAX);
        assert!(!news("push", 3599), "the hour's warnings are spent");
        assert!(news("push", 3600));
        assert!(!news("push", 3601));
        assert!(news("made-up-0", 3601), "forgotten with the hour");
    }

    #[test]
    fn an_event_goes_to_each_handler_that_hears_its_source_and_wants_its_type() {
        let glob = |text| TypeGlob::parse(text).expect("a glob");
        let name = |text| HandlerName::parse(text).expect("a name");
        let source = |text| SourceName::parse(text).expect("a name");
        let routes = Routes::new(vec![
            Route { handler: name("all"), sources: None, events: vec![] },
            Route { handler: name("billing"), sources: Some(vec![source("stripe")]), events: vec![glob("invoice.*")] },
            Route {
                handler: name("ci"),
                sources: Some(vec![source("github")]),
                events: vec![glob("push"), glob("pull_request")],
            },
        ]);
        let matching =
            |from, event_type| routes.matching(&source(from), event_type).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(matching("stripe", "invoice.paid"), ["all", "billing"]);
        assert_eq!(matching("github", "invoice.paid"), ["all"], "another source");
        assert_eq!(matching("github", "pull_request.opened"), ["all", "ci"], "a dotted prefix");
        assert_eq!(matching("github", "pull_request_review.submitted"), ["all"], "no dotted prefix");
    }
}
