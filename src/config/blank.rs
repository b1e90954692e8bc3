//! A config file as it may be shown: errors end up in logs, and a secret may stand wherever somebody typed it.
//!
//! So what is shown is what is known to be harmless: names of settings and tables, and the values of settings that never hold a
//! secret. All else is blanked, comments too, at its length, so that what is pointed at stays where it is.

use super::error::nearest;

/// Tables by their first name.
const TABLES: &[&str] = &["admin", "limits", "store", "retention", "sources", "handlers", "idempotency", "providers"];
/// Settings whose values are shown.
const SHOWN: &[&str] = &[
    "ack",
    "allow",
    "allow_from",
    "allow_short_retention",
    "answer_deadline",
    "bodies_in_hand",
    "body_deadline",
    "body_limit",
    "body_retention",
    "breaker_failures",
    "busy_timeout",
    "concurrency",
    "connections",
    "dedupe_retention",
    "drain",
    "events",
    "final_statuses",
    "forward_headers",
    "header_deadline",
    "header_limit",
    "ignore",
    "in_flight",
    "listen",
    "log_bytes",
    "log_retention",
    "min_free",
    "on_mismatch",
    "provider",
    "rate_limit",
    "replay_guard",
    "require_database",
    "resign",
    "retired",
    "retry",
    "sources",
    "status",
    "strict_secrets",
    "timeout",
    "tolerance",
    "trusted_proxies",
];
/// The same in a provider's tables.
const RULES: &[&str] = &[
    "algorithm",
    "body_limit",
    "compute",
    "deadline",
    "derive",
    "docs",
    "encoding",
    "from",
    "id",
    "id_signed",
    "kind",
    "limit",
    "mark",
    "message",
    "method",
    "methods",
    "pair",
    "prefix",
    "reject",
    "resend_for",
    "respond",
    "retries_for",
    "setup",
    "signature",
    "skip",
    "split",
    "status",
    "strip",
    "time",
    "title",
    "tolerance",
    "type",
    "unit",
    "verified",
    "volatile",
    "when",
];
/// Names within a secret's table.
const INNER: &[&str] = &["env", "file", "literal", "name", "slot", "token"];

/// The text with everything blanked that may be a secret.
pub(crate) fn blanked(content: &str) -> String {
    let mut blanker = Blanker { out: String::with_capacity(content.len()), shown: SHOWN, value: None };
    content.split_inclusive('\n').for_each(|line| blanker.line(line));
    blanker.out
}

/// A value whose end has not come yet.
#[derive(Clone, Copy)]
struct Value {
    shown: bool,
    depth: usize,
    /// The quote of a text over several lines.
    long: Option<char>,
}

struct Blanker {
    out: String,
    /// The settings of this table whose values are shown.
    shown: &'static [&'static str],
    value: Option<Value>,
}

impl Blanker {
    fn line(&mut self, line: &str) {
        if self.value.is_none() && self.header(line) {
            return;
        }
        let rest = match self.value {
            // A list of plain values has no `=`: here the next setting begins, and the list never ended.
            Some(value) => {
                let shown = value.shown && value.long.is_none() && equals(line).is_none();
                self.value = Some(Value { shown, ..value });
                line
            }
            None => match setting(line) {
                Some((name, value)) => {
                    self.value = Some(Value { shown: self.shown.contains(&name.trim()), depth: 0, long: None });
                    self.out.push_str(name);
                    self.out.push('=');
                    value
                }
                None => {
                    self.value = Some(Value { shown: false, depth: 0, long: None });
                    line
                }
            },
        };
        self.rest(rest);
    }

    /// Whether the line names a table that is known, or nearly. Of any other nothing is shown.
    fn header(&mut self, line: &str) -> bool {
        if !line.trim_start().starts_with('[') {
            return false;
        }
        let (header, comment) = line.split_at(line.find('#').unwrap_or(line.len()));
        let name = header.trim_end().trim_matches(['[', ']', ' ', '\t']);
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        let mut parts = name.split('.');
        let first = parts.next().unwrap_or_default();
        let is_known = is_plain && nearest(first, TABLES.iter().copied()).is_some();
        self.shown = match (first, parts.count()) {
            _ if !is_known => &[],
            ("providers", _) => RULES,
            ("sources" | "handlers", 1) | ("admin" | "limits" | "store" | "retention", 0) => SHOWN,
            // Names are the operator's own: `headers`, `params`.
            _ => &[],
        };
        if is_known {
            self.out.push_str(header);
            self.blank(comment, false);
        }
        is_known
    }

    /// A value, from where it begins or goes on in this line.
    fn rest(&mut self, text: &str) {
        let Some(Value { mut shown, mut depth, mut long }) = self.value else { return };
        let mut short: Option<char> = None;
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let tail = &text[at..];
            let triple = matches!(c, '"' | '\'') && tail.chars().take(3).filter(|next| *next == c).count() == 3;
            let mut taken = c.len_utf8();
            match (long, short) {
                (Some(quote), _) if c == quote && triple => (taken, long) = (3, None),
                (Some('"'), _) | (None, Some('"')) if c == '\\' => {
                    taken += tail[taken..].chars().next().filter(|next| *next != '\n').map_or(0, char::len_utf8);
                    self.blank(&tail[..taken], shown && long.is_none());
                    at += taken;
                    continue;
                }
                (Some(_), _) => {
                    self.blank(&tail[..taken], false);
                    at += taken;
                    continue;
                }
                (None, Some(quote)) if c != quote => {
                    self.blank(&tail[..taken], shown);
                    at += taken;
                    continue;
                }
                (None, Some(_)) => {
                    short = None;
                    shown &= !is_name(&tail[taken..]);
                }
                (None, None) if triple => (taken, long) = (3, Some(c)),
                (None, None) if matches!(c, '"' | '\'') => short = Some(c),
                (None, None) if c == '#' => {
                    self.blank(tail, false);
                    break;
                }
                (None, None) if matches!(c, '[' | '{') => depth += 1,
                (None, None) if matches!(c, ']' | '}') => depth = depth.saturating_sub(1),
                (None, None) if matches!(c, ',' | '=') || c.is_whitespace() => {}
                (None, None) => {
                    let word: &str =
                        tail.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))).next().unwrap_or_default();
                    taken = word.len().max(taken);
                    let is_name = is_name(&tail[taken..]);
                    // What is within something that may be a secret may be one, whatever its name.
                    shown &= !is_name || self.shown.contains(&word);
                    self.blank(&tail[..taken], shown || is_name && INNER.contains(&word));
                    at += taken;
                    continue;
                }
            }
            self.out.push_str(&tail[..taken]);
            at += taken;
        }
        self.value = (depth > 0 || long.is_some()).then_some(Value { shown, depth, long });
    }

    /// As long as it was, or the place that is pointed at would move.
    fn blank(&mut self, text: &str, shown: bool) {
        for c in text.chars() {
            if shown || c == '\n' { self.out.push(c) } else { self.out.extend(std::iter::repeat_n('*', c.len_utf8())) }
        }
    }
}

/// The name that a line begins with, and what comes after its `=`. Where that is nothing, or another `=`, the line may as well be the
/// end of something in base64.
fn setting(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_at(equals(line)?);
    let value = &value[1..];
    let begins = value.trim_start().chars().next()?;
    (begins != '=').then_some((name, value))
}

/// Whether what stands before this is a name in a table.
fn is_name(tail: &str) -> bool {
    tail.trim_start().starts_with('=')
}

/// Where the first `=` stands that is in no text and no comment.
fn equals(line: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '=') => return Some(at),
            (None, '#') => return None,
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_may_be_a_secret_is_blanked_at_its_length() {
        for (line, shown) in [
            ("secrets = [\"canary\"] # it's\n", "secrets = [\"******\"] ******\n"),
            ("secrts = [canary]\n", "secrts = [******]\n"),
            ("secrets = [{ env = \"CANARY\", slot = 'x' }]\n", "secrets = [{ env = \"******\", slot = '*' }]\n"),
            ("secrets = [{ canary = 1 }]\n", "secrets = [{ ****** = * }]\n"),
            ("token = { literal = \"can\\\"ary\" }\n", "token = { literal = \"********\" }\n"),
            ("x = \"\"\"canary\ncanary\"\"\"\n", "x = \"\"\"******\n******\"\"\"\n"),
            ("x = '''can''ary'''\n", "x = '''********'''\n"),
            ("x = [\n  \"canary\",\n  canary==\n]\n", "x = [\n  \"******\",\n  ******==\n]\n"),
            ("x = \"c\u{e9}\"\n", "x = \"***\"\n"),
            ("url = \"http://user:canary@host/?canary\"\n", &format!("url = \"{}\"\n", "*".repeat(31))),
            ("canary\n", "******\n"),
            ("# canary\n", "********\n"),
            ("[canary]\n", "[******]\n"),
            ("[\"canary\"]\n", "[\"******\"]\n"),
            ("events = [\"canary\"]\n", "events = [\"canary\"]\n"),
            ("timeout = \"30s\" # canary\n", "timeout = \"30s\" ********\n"),
            ("events = [\"a\"\nsecrets = [\"canary\"]\n", "events = [\"a\"\n******* = [\"******\"]\n"),
            ("events = \"\"\"a\ncanary\"\"\"\n", "events = \"\"\"*\n******\"\"\"\n"),
            ("[handlers.h.headers]\nevents = \"canary\"\n", "[handlers.h.headers]\nevents = \"******\"\n"),
            ("[sources.s.params]\nmode = \"canary\"\n", "[sources.s.params]\nmode = \"******\"\n"),
            ("[sorces.s]\nmode = \"canary\"\n", "[sorces.s]\nmode = \"******\"\n"),
            ("[[providers.acme.check]]\nkind = \"hmac\"\n", "[[providers.acme.check]]\nkind = \"hmac\"\n"),
            ("[sources.s] # canary\nprovider = \"x\"\n", "[sources.s] ********\nprovider = \"x\"\n"),
            ("sources = { s = { secrets = [\"canary\"] } }\n", "sources = { * = { ******* = [\"******\"] } }\n"),
            ("sources = [\"\\\"\", { \"x\" = \"canary\" }]\n", "sources = [\"\\\"\", { \"x\" = \"******\" }]\n"),
            ("ignore = [canary==\n", "ignore = [******==\n"),
            ("canary=\n", "******=\n"),
            ("canary==\n", "******==\n"),
            (
                "[[providers.acme.check]]\nsignature = { from = \"header:X\", key = \"canary\" }\nsecret = \"canary\"\n",
                "[[providers.acme.check]]\nsignature = { from = \"header:X\", *** = \"******\" }\nsecret = \"******\"\n",
            ),
            ("handlers.h.events = \"canary\"\n", "handlers.h.events = \"******\"\n"),
        ] {
            let blank = blanked(line);
            assert_eq!(blank, shown);
            assert_eq!(blank.len(), line.len());
        }
    }

    #[test]
    fn no_table_is_taken_for_the_one_before_it() {
        for header in ["[admin] # x", "[admin]# x", "[sources.\"s\"]", "[sources . s]", "[tokens]", "[[x", "  [ 'providers'.a ]"]
        {
            let blank = blanked(&format!("[providers.a]\nid = [\"x\"]\n{header}\nid = \"canary\"\n"));
            assert!(blank.starts_with("[providers.a]\nid = [\"x\"]\n") && !blank.contains("canary"), "{blank}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_or_moves_a_place(text in "([a-z=\"'#\\\\\\[\\]{}, é\n]|\"\"\"|secrets|events|\\[sources\\.s\\]){0,60}") {
            let blank = blanked(&text);
            prop_assert_eq!(blank.len(), text.len());
            prop_assert_eq!(blank.matches('\n').count(), text.matches('\n').count());
        }
    }
}
