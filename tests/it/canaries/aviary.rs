//! A gateway with a canary in every place where a secret can be.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use hookgate::clock::{Clock, SystemClock};

use super::looks::{BODY, MARK, assert_clean, canary, found, standard, whole};
use crate::helpers::cli::{Cli, Serving};
use crate::helpers::gateway::runtime;
use crate::helpers::http;
use crate::helpers::sender::{self, Fields, fields, hex_text};
use crate::helpers::target::{Reply, Target};

/// Its configuration; what stands between `<` and `>` is filled in.
const CONFIG: &str = r#"
[admin]
token = { env = "TOKEN" }

[sources.stripe]
provider = "stripe"
secrets = [{ env = "STRIPE" }, { file = "stripe-old" }, { literal = "<literal>" }]

[sources.github]
provider = "github"
secrets = [{ env = "GITHUB" }]

[sources.standard]
provider = "standard-webhooks"
secrets = [{ env = "STANDARD" }]

[sources.slots]
provider = "acme"
secrets = [{ env = "SLOT_1" }, { env = "SLOT_2", slot = "second" }]

[[providers.acme.check]]
id = "one"
kind = "hmac"
algorithm = "sha256"
signature = { from = "header:X-Acme-1", encoding = "hex" }

[[providers.acme.check]]
id = "two"
kind = "hmac"
algorithm = "sha256"
secret = "second"
signature = { from = "header:X-Acme-2", encoding = "hex" }

[providers.acme.event]
id = ["{header:X-Acme-Id}"]

[handlers.broken]
url = "<broken>?token=<in_url>"
headers = { Authorization = { env = "BEARER" }, X-Plain = "<plain>" }
sign_with = { env = "KEY" }

[handlers.well]
url = "<well>?token=<in_url>"
headers = { Authorization = { file = "key" } }
sign_with = { file = "key" }

[handlers.gone]
url = "http://127.0.0.1:9/hook?token=<in_url>"
sources = ["stripe", "github", "standard"]
resign = true
"#;

/// See the module.
pub(super) struct Aviary {
    pub(super) cli: Cli,
    _targets: [Target; 2],
}

/// What may hold canaries in the directory: what the test wrote there itself.
const OWN_FILES: [&str; 3] = ["hookgate.toml", "stripe-old", "key"];

impl Aviary {
    /// One that is not started yet.
    pub(super) fn new() -> Self {
        let reply = format!("HTTP/1.1 500 Broken\r\nContent-Length: 100\r\nX-Canary: {0}\r\n\r\n{0}{0}", canary("answer"));
        let broken = runtime().block_on(Target::start(vec![Reply::bytes(&reply); 20]));
        let well = format!(
            "HTTP/1.1 200 {0}\r\nContent-Length: {1}\r\nConnection: close\r\n\r\n{0}",
            canary("answer"),
            canary("answer").len()
        );
        let well = runtime().block_on(Target::start(vec![Reply::bytes(&well); 20]));
        let filled = [("<broken>", broken.url()), ("<well>", well.url())].into_iter();
        let filled = filled.chain([("<literal>", canary("literal")), ("<in_url>", canary("url")), ("<plain>", canary("plain"))]);
        let config = filled.fold(CONFIG.to_owned(), |config, (place, text)| config.replace(place, &text));
        let mut cli = Cli::with_config(&config).env("STANDARD", &standard());
        for (variable, name) in [
            ("STRIPE", "stripe"),
            ("GITHUB", "github"),
            ("SLOT_1", "slot"),
            ("SLOT_2", "second"),
            ("BEARER", "bearer"),
            ("KEY", "key"),
            ("TOKEN", "token"),
        ] {
            cli = cli.env(variable, &canary(name));
        }
        for name in ["stripe-old", "key"] {
            cli.write(name, &format!("{}\n", canary(name)));
            fs::set_permissions(cli.path(name), fs::Permissions::from_mode(0o644)).expect("our own file");
        }
        Self { cli, _targets: [broken, well] }
    }

    /// Every kind of delivery, the strangers' with canaries in their headers.
    pub(super) fn send(&self, serving: &Serving) {
        let now_s = SystemClock::new().wall().unix_s();
        let id = |id: &str| format!("{{\"id\":\"{id}\",\"type\":\"a.b\",\"note\":\"{BODY}\"}}").into_bytes();
        let acme = |name: &str, secret: &str, body: &[u8]| {
            let tag = sender::tag(ring::hmac::HMAC_SHA256, canary(secret).as_bytes(), &[body]);
            fields(&[("X-Acme-Id", "acme_1"), (name, &hex_text(&tag))])
        };
        let stripe = |secret: &str, body: &[u8]| sender::stripe(&canary(secret), now_s, body);
        let bad = fields(&[("Stripe-Signature", &format!("t={now_s},v1={}", canary("signature")))]);
        for (source, own, body, status) in [
            ("stripe", stripe("stripe", &id("evt_1")), id("evt_1"), 200),
            ("stripe", stripe("stripe-old", &id("evt_1")), id("evt_1"), 200),
            ("stripe", stripe("literal", &id("evt_2")), id("evt_2"), 200),
            ("stripe", stripe("stripe", BODY.as_bytes()), BODY.into(), 400),
            ("github", sender::github(&canary("github"), "one", "push", &id("x")), id("x"), 200),
            ("github", sender::github(&canary("github"), "one", "push", &id("y")), id("y"), 200),
            ("standard", sender::standard_webhooks(&standard(), "msg_1", now_s, &id("z")), id("z"), 200),
            ("slots", acme("X-Acme-1", "slot", &id("1")), id("1"), 200),
            ("slots", acme("X-Acme-2", "second", &id("1")), id("1"), 200),
            ("stripe", bad, id("evt_3"), 401),
            ("github", Fields::new(), id("x"), 401),
            (&format!("nobody?token={}", canary("query")), Fields::new(), id("x"), 404),
        ] {
            let mut all = own;
            all.extend(fields(&[
                ("Authorization", &format!("Bearer {}", canary("authorization"))),
                ("Cookie", &format!("session={}", canary("cookie"))),
                ("X-Forwarded-For", &canary("forwarded")),
                ("X-Unknown", &canary("header")),
                ("User-Agent", "a sender"),
            ]));
            let answer = runtime()
                .block_on(http::exchange(serving.listen, &http::request("POST", &format!("/hooks/{source}"), &all, &body)));
            assert_eq!(answer.status, status, "{source}: {}", answer.text());
            assert_clean("an answer", whole(&answer));
        }
    }

    /// Every file that the gateway made: bodies may be in them, secrets not.
    pub(super) fn look_at_files(&self, serving: &Serving) {
        let (mut seen, mut bodies) = (Vec::new(), false);
        for file in fs::read_dir(self.cli.directory.path()).expect("a directory") {
            let path = file.expect("a file").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("text").to_owned();
            if !OWN_FILES.contains(&name.as_str()) {
                let bytes = fs::read(&path).expect("a file");
                // The reserve is long and says nothing.
                if bytes.iter().all(|byte| *byte == 0) {
                    continue;
                }
                bodies |= found(&[BODY], &bytes).is_some();
                assert_eq!(found(&[MARK], &bytes), None, "{name}");
                seen.push(name);
            }
        }
        assert!(bodies, "the database was looked at");
        let ready = serving.ready.file_name().and_then(|name| name.to_str()).expect("text");
        assert!(["hookgate.db", "hookgate.db.lock", ready].iter().all(|name| seen.iter().any(|seen| seen == name)), "{seen:?}");
    }
}
