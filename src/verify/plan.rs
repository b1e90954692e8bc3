//! What a source's preset reads from requests, laid out once: pointers into the body, fields of forms, parameters.

use std::collections::BTreeMap;

use super::form::FieldPlan;
use super::json::Trie;
use crate::preset::{Check, Handshake, Locator, Preset};

/// All that [`super::reading::Reading`] may be asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// Pointers into the body.
    pub(super) body: Trie,
    /// Fields of a form body.
    pub(super) fields: Vec<FieldPlan>,
    /// Parameters of the query.
    pub(super) query: Vec<FieldPlan>,
    /// The source's parameters.
    pub(super) params: BTreeMap<String, String>,
}

impl Plan {
    /// Lays out everything that a preset reads.
    pub(super) fn new(preset: &Preset, params: BTreeMap<String, String>) -> Self {
        let mut plan = Self { params, ..Self::default() };
        let checks = preset.checks().iter().flat_map(Check::locators);
        let event = preset.event().id_locators().chain(preset.event().type_locators());
        let handshakes = preset.handshakes().iter().flat_map(Handshake::locators);
        checks.chain(event).chain(handshakes).for_each(|locator| plan.add(locator));
        plan
    }

    fn add(&mut self, locator: &Locator) {
        match locator {
            Locator::Json(pointer) => self.body.add(pointer),
            Locator::Query(name) => {
                place(&mut self.query, name);
            }
            Locator::Form(name, pointer) => {
                let place = place(&mut self.fields, name);
                pointer.iter().for_each(|pointer| self.fields[place].json.add(pointer));
            }
            _ => {}
        }
    }
}

/// The place of a field, added where it is new.
fn place(fields: &mut Vec<FieldPlan>, name: &str) -> usize {
    find(fields, name).unwrap_or_else(|| {
        fields.push(FieldPlan { name: name.into(), json: Trie::default() });
        fields.len() - 1
    })
}

/// The place of a field of a form or a query.
pub(super) fn find(fields: &[FieldPlan], name: &str) -> Option<usize> {
    fields.iter().position(|field| *field.name == *name)
}
