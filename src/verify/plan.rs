//! What a source's preset reads from requests, laid out once: pointers into the body, fields of forms, parameters.

use std::collections::BTreeMap;

use super::form::FieldPlan;
use super::json::Trie;
use crate::preset::{Check, Locator, Preset};

/// All that [`super::reading::Reading`] may be asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// Pointers into the body.
    pub(super) body: Trie,
    /// Fields of a form body.
    pub(super) fields: Vec<FieldPlan>,
    /// The source's parameters.
    pub(super) params: BTreeMap<String, String>,
}

impl Plan {
    /// Lays out everything that a preset reads.
    pub(super) fn new(preset: &Preset, params: BTreeMap<String, String>) -> Self {
        let mut plan = Self { params, ..Self::default() };
        let checks = preset.checks().iter().flat_map(Check::locators);
        let event = preset.event().id_locators().chain(preset.event().type_locators());
        checks.chain(event).for_each(|locator| plan.add(locator));
        plan
    }

    fn add(&mut self, locator: &Locator) {
        match locator {
            Locator::Json(pointer) => self.body.add(pointer),
            Locator::Form(name, pointer) => {
                let place = self.field(name).unwrap_or_else(|| {
                    self.fields.push(FieldPlan { name: name.clone(), json: Trie::default() });
                    self.fields.len() - 1
                });
                pointer.iter().for_each(|pointer| self.fields[place].json.add(pointer));
            }
            _ => {}
        }
    }

    /// The place of a form's field.
    pub(super) fn field(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| *field.name == *name)
    }
}
