//! The presets that are built in: the same text that a user could write.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

use super::{Mark, Preset, PresetError, ProviderText, compile};

/// A document of `[providers.NAME]` tables and nothing else.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvidersText {
    /// The tables by name.
    pub providers: BTreeMap<String, ProviderText>,
}

impl ProvidersText {
    /// Reads such a document.
    ///
    /// # Errors
    /// [`PresetError`] where it is no TOML or has an unknown field.
    pub fn parse(text: &str) -> Result<Self, PresetError> {
        toml::from_str(text).map_err(PresetError::from)
    }
}

/// Name and text of each built-in preset, by name.
const BUILTIN: &[(&str, &str)] = &[
    ("github", include_str!("data/github.toml")),
    ("gitlab", include_str!("data/gitlab.toml")),
    ("slack", include_str!("data/slack.toml")),
    ("standard-webhooks", include_str!("data/standard-webhooks.toml")),
    ("stripe", include_str!("data/stripe.toml")),
];

/// The built-in presets, compiled once. A test sees that none of them is lost here.
static COMPILED: LazyLock<BTreeMap<&'static str, Arc<Preset>>> = LazyLock::new(|| {
    let compiled = BUILTIN.iter().filter_map(|(name, text)| Some((*name, Arc::new(compile_builtin(name, text).ok()?))));
    compiled.collect()
});

fn compile_builtin(name: &str, text: &str) -> Result<Preset, PresetError> {
    let mut providers = ProvidersText::parse(text)?.providers;
    let provider = providers.remove(name).ok_or_else(|| PresetError::nowhere(format!("no `[providers.{name}]`")))?;
    let (preset, _) = compile(name, &provider)?;
    match preset.mark() {
        Some(Mark::Verified | Mark::Documented) => Ok(preset),
        Some(Mark::Reported) | None => Err(PresetError::nowhere("a built-in preset is verified or documented")),
    }
}

/// The built-in preset of this name.
#[must_use]
pub fn builtin(name: &str) -> Option<Arc<Preset>> {
    COMPILED.get(name).map(Arc::clone)
}

/// The names of all built-in presets, sorted.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

/// The text of a built-in preset, to show or to copy.
#[must_use]
pub fn builtin_text(name: &str) -> Option<&'static str> {
    BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_built_in_preset_compiles_without_a_warning() {
        for &(name, text) in BUILTIN {
            compile_builtin(name, text).expect(name);
            let provider = ProvidersText::parse(text).expect(name).providers.remove(name).expect(name);
            let (preset, warnings) = compile(name, &provider).expect(name);
            assert_eq!(warnings, [], "{name}");
            assert!(preset.docs().is_some(), "{name} names no page");
            assert!(builtin(name).is_some(), "{name}");
        }
        assert!(builtin("nobody").is_none());
    }

    #[test]
    fn a_preset_says_in_one_sentence_how_it_signs() {
        let sentence = |name: &str| builtin(name).expect(name).sentence(None, None);
        assert_eq!(
            sentence("stripe"),
            "HMAC-SHA256 over `{time}.{body}` in header Stripe-Signature (v1, hex), fresh within 300 s; id from `{body:/id}` (signed)"
        );
        assert_eq!(
            sentence("github"),
            "HMAC-SHA256 over the raw body in header X-Hub-Signature-256 (hex); id from `{header:X-GitHub-Delivery}` (not signed)"
        );
        assert_eq!(
            sentence("standard-webhooks"),
            "HMAC-SHA256 over `{header:webhook-id}.{time}.{body}` in header webhook-signature (v1, base64), fresh within 300 s; \
             id from `{header:webhook-id}` (signed)"
        );
        assert!(sentence("slack").ends_with(
            "; POST with `{body:/type}` = `url_verification` is a handshake, answered after the check\
             ; POST with `{form:ssl_check}` = `1` is a handshake, answered before the check"
        ));
        assert!(
            sentence("gitlab")
                .contains(", or token in header X-Gitlab-Token, which proves who sends, not what the body says; id from ")
        );
    }

    #[test]
    fn a_preset_names_its_headers_in_order_and_each_once() {
        let headers = |name: &str| builtin(name).expect(name).named_headers().join(" ");
        assert_eq!(headers("stripe"), "stripe-signature");
        assert_eq!(headers("github"), "x-hub-signature-256 x-github-delivery x-github-event");
        assert_eq!(headers("standard-webhooks"), "webhook-signature webhook-timestamp webhook-id");
    }
}
