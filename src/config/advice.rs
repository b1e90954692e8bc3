//! What is right and still likely not meant: handlers that will never be called, sources that nobody hears.

use super::{HandlerSettings, SourceSettings};
use crate::model::TypeGlob;
use crate::verify::TYPE_UNKNOWN;

/// A sentence for each.
pub(super) fn of(sources: &[SourceSettings], handlers: &[HandlerSettings]) -> Vec<String> {
    let mut told = Vec::new();
    for handler in handlers {
        let heard: Vec<&SourceSettings> = sources.iter().filter(|source| hears(handler, source)).collect();
        if heard.is_empty() {
            told.push(format!("handler {}: `sources` is empty, so it is never called", handler.name));
        } else if heard.iter().all(|source| source.retired) {
            told.push(format!("handler {}: every source that it hears is retired, so it is never called", handler.name));
        }
        for glob in handler.events.iter().filter(|_| !heard.is_empty()) {
            if heard.iter().all(|source| ignores(source, glob)) {
                told.push(format!("handler {}: `{glob}` is on the `ignore` list of every source that it hears", handler.name));
            } else if heard.iter().all(|source| untyped(source, glob)) {
                told.push(format!("handler {}: nothing that it hears has a type, so `{glob}` never matches", handler.name));
            }
        }
    }
    if handlers.is_empty() {
        told.push(
            "there is no handler: events are stored, and `hookgate redrive` gives them to handlers that come later".to_owned(),
        );
        return told;
    }
    let unheard = sources.iter().filter(|source| !source.retired && !handlers.iter().any(|handler| hears(handler, source)));
    told.extend(
        unheard.map(|source| format!("source {}: no handler hears it, so its events are stored and nothing else", source.name)),
    );
    told
}

fn hears(handler: &HandlerSettings, source: &SourceSettings) -> bool {
    handler.sources.as_ref().is_none_or(|names| names.contains(&source.name))
}

fn ignores(source: &SourceSettings, glob: &TypeGlob) -> bool {
    source.ignore.iter().any(|ignored| ignored == glob || ignored.as_str() == "*")
}

/// Whether the provider has no types at all, and the pattern wants one.
fn untyped(source: &SourceSettings, glob: &TypeGlob) -> bool {
    source.preset.event().types.is_empty() && !glob.matches(TYPE_UNKNOWN)
}
