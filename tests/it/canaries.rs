//! Canaries: secrets that must be in no output, wherever a secret can be. The real binary is made to say all that it can say, and
//! every byte of it is searched, as text, hex digits and base64 at any place.

mod aviary;
mod looks;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hookgate::config::{self, ConfigText, Environment, Flags, Keys};
use hookgate::handler::{HttpClient, HttpHandler, HttpHandlerSettings};
use hookgate::model::{Delivery, DeliveryId, Headers, Secret, Timestamp};
use hookgate::verify::VerifierSettings;
use hookgate::web::Guard;

use crate::helpers::cli::{Cli, Serving, fixtures};
use crate::helpers::gateway::runtime;
use crate::helpers::http;
use crate::helpers::sender::{fields, hex_text};
use aviary::Aviary;
use looks::{BODY, MARK, assert_clean, canary, clean, found, whole};

#[test]
fn a_canary_is_found_in_every_encoding() {
    for text in [canary("x"), BODY.to_owned()] {
        for before in ["", "a", "ab", "abc", "abcd"] {
            let within = format!("{before}{text}{before}");
            let all =
                [within.clone(), hex_text(within.as_bytes()), STANDARD_NO_PAD.encode(&within), URL_SAFE_NO_PAD.encode(&within)];
            for encoded in all {
                assert!(found(&[MARK, BODY], encoded.as_bytes()).is_some(), "{encoded}");
            }
        }
    }
    assert!(found(&[MARK, BODY], b"nothing of that kind").is_none());
}

#[test]
fn no_command_no_log_and_no_file_of_the_store_holds_a_canary() {
    for (format, verbosity) in [("pretty", &["-v", "-v", "-v"][..]), ("json", &["-v", "-v", "-v"]), ("json", &[])] {
        let aviary = Aviary::new();
        let serving = aviary.cli.serve(&[&["--log-format", format], verbosity].concat());
        aviary.send(&serving);
        // Five events, each with a first call that fails.
        let is_failed = |line: &str| line.contains("broken") && (line.contains("attempt 1 ") || line.contains("\"attempt\":1,"));
        let failed = |lines: &[String]| lines.iter().filter(|line| is_failed(line)).count();
        let told = if format == "json" { &serving.process.stderr } else { &serving.process.stdout };
        told.wait_for(|lines| failed(lines) >= 5).expect("it runs");
        ask_everything(&aviary, &serving);
        aviary.look_at_files(&serving);
        clean("serve", serving.stop().expect(0));
        let offline: [&[&str]; 3] =
            [&["log"], &["log", "show", "stripe/evt_1"], &["redrive", "--force", "--yes", "stripe/evt_1"]];
        for command in offline {
            clean(&command.join(" "), aviary.cli.run(command).expect(0));
        }
    }
}

/// What an operator can ask, by the command line and by the admin API.
fn ask_everything(aviary: &Aviary, serving: &Serving) {
    let cli = &aviary.cli;
    let (url, fixture) = (serving.url(), fixtures("github/ping"));
    let commands: &[(&[&str], i32)] = &[
        (&["check"], 0),
        (&["check", "--json"], 0),
        (&["handlers", "--json"], 0),
        (&["reload"], 0),
        (&["log"], 0),
        (&["log", "--json"], 0),
        (&["log", "-v", "-v", "-v", "--verdict", "rejected"], 0),
        (&["log", "show", "stripe/evt_1"], 0),
        (&["log", "show", "stripe/evt_1", "--json"], 0),
        (&["log", "show", "github/one"], 0),
        (&["log", "show", "nobody/knows"], 1),
        (&["redrive", "--force", "--yes", "stripe/evt_1"], 0),
        (&["redrive", "--force", "--yes", "--json", "stripe/evt_2"], 0),
        (&["replay", &fixture, "--to", &url, "--yes"], 0),
        (&["replay", &fixture, "--to", &url, "--yes", "--json", "-v", "-v", "-v"], 0),
        (&["replay", &fixture, "--to", &url, "--yes", "--secret-env", "STRIPE"], 1),
        (&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"], 3),
    ];
    for (command, code) in commands {
        clean(&command.join(" "), cli.run(command).expect(*code));
    }
    let right = format!("Bearer {}", canary("token"));
    for (authorization, paths) in [
        (
            right.as_str(),
            &[
                "/readyz",
                "/api/v1/deliveries",
                "/api/v1/events?source=stripe&event_id=evt_1",
                "/api/v1/sources",
                "/api/v1/handlers",
                "/api/v1/deliveries?x=1",
                "/x",
            ][..],
        ),
        (&format!("Bearer {}", canary("wrong-token")), &["/readyz", "/api/v1/deliveries"]),
        (&canary("no-scheme"), &["/api/v1/deliveries"]),
    ] {
        for path in paths {
            let asked = fields(&[("Authorization", authorization), ("Cookie", &canary("cookie"))]);
            let answer = runtime().block_on(http::exchange(serving.admin, &http::request("GET", path, &asked, b"")));
            assert_clean(path, whole(&answer));
        }
    }
}

#[test]
fn a_refused_token_is_not_repeated() {
    let aviary = Aviary::new();
    let serving = aviary.cli.serve(&[]);
    let stranger = aviary.cli.env("HOOKGATE_ADMIN_TOKEN", &canary("wrong-token"));
    for command in [&["log"][..], &["log", "--log-format", "json", "-v", "-v", "-v"], &["redrive", "--yes", "stripe/evt_1"]] {
        clean("a command with a wrong token", stranger.run(command).expect(2));
    }
    clean("serve", serving.stop().expect(0));
}

#[test]
fn no_error_about_the_configuration_repeats_a_canary_of_its_line() {
    let secret = canary("line");
    let source = |lines: &str| format!("[sources.x]\nprovider = \"standard-webhooks\"\n{lines}\n");
    let handler = |lines: &str| format!("{}[handlers.h]\n{lines}\n", source(""));
    let url = "url = \"http://127.0.0.1:9/\"\n";
    let cases = [
        source(&format!("secrets = [\"{secret}\"]")),
        source(&format!("secrets = \"{secret}\"")),
        source(&format!("secrets = [{secret}]")),
        source(&format!("secrets = [\n  \"{secret}\",\n]")),
        source(&format!("secrets = [{{ literal = \"{secret}\" }}]")),
        source(&format!("secrets = [{{ literal = \"whsec_{secret}!\" }}]")),
        source(&format!("secrets = [{{ literal = \"\"\"\n{secret}\"\"\" }}]")),
        source(&format!("secrets = [{{ literal = \"{secret}\", slot = \"x\" }}]")),
        source(&format!("secrets = [{{ literal = \"{secret}\", env = \"X\" }}]")),
        source(&format!("secrets = [{{ literal = \"{secret}\", evn = \"X\" }}]")),
        source(&format!("secrets = [{{ env = \"whsec_{secret}\" }}]")),
        source(&format!("secrets = [{{ file = \"whsec_{secret}\" }}]")),
        source(&format!("secrts = [{{ literal = \"{secret}\" }}]")),
        source(&format!("secret = \"{secret}\"")),
        source(&format!("tolerance = 5 # was {secret}")),
        source(&format!("\"{secret}\"")),
        source(&format!("secrets = [{{ literal = \"{secret} }}]")),
        source(&format!("secrets = [{{ literal = \"\\q{secret}\" }}]")),
        format!("[admin]\ntoken = \"{secret}\"\n{}", source("")),
        format!("[providers.a.event]\nid = [\"x\"]\n[admin] # mine\ntoken = \"{secret}\"\n"),
        format!("[providers.a]\nsecrets = [{{ literal = \"{secret}\" }}]\n"),
        format!("sources = {{ x = {{ provider = \"github\", secrets = [\"{secret}\"] }} }}\n"),
        source(&format!("secrets = [\"one\"]\n{secret}==")),
        format!("[admin]\ntoken = {{ literal = \"{secret} \u{e9}\" }}\n{}", source("")),
        format!("listen = \"0.0.0.0:1\"\n[admin]\ntoken = {{ literal = \"{secret}\" }}\n{}", source("")),
        format!("database = \"postgres://user:{secret}@host/x\"\n{}", source("")),
        format!("public_url = \"ftp://user:{secret}@host/x\"\n{}", source("")),
        handler(&format!("url = \"http://user:{secret}@127.0.0.1/\"")),
        handler(&format!("url = \"ftp://127.0.0.1/?{secret}\"")),
        handler(&format!("url = [\"{secret}\"]")),
        handler(&format!("{url}sign_with = \"{secret}\"")),
        handler(&format!("{url}sign_with = {{ literal = \"whsec_{secret}!\" }}")),
        handler(&format!("{url}headers = {{ Host = \"{secret}\" }}")),
        handler(&format!("{url}headers = {{ X = \"{secret}\\u0007\" }}")),
        handler(&format!("{url}headers = [\"{secret}\"]")),
        handler(&format!("{url}[handlers.h.headers]\nAuthorization = \"Bearer {secret}\\n\"")),
        handler(&format!("{url}[handlers.h.headers]\nevents = \"{secret}\\n\"")),
        handler(&format!("{url}timeout = 5\n# {secret}")),
    ];
    for config in cases {
        let cli = Cli::with_config(&config);
        for format in ["pretty", "json"] {
            for command in ["check", "serve"] {
                let told = cli.run(&[command, "--log-format", format]);
                assert!(told.code == 2 && !told.stderr.is_empty(), "{config}{}", told.stderr);
                clean(&config.replace(&secret, "…"), told);
            }
        }
    }
    for (variable, value) in [("HOOKGATE_ADMIN_TOKEN", format!("{secret}\n")), ("STANDARD", format!("{secret}!"))] {
        let cli = Cli::with_config(&source("secrets = [{ env = \"STANDARD\" }]")).env(variable, &value);
        clean(variable, cli.run(&["check"]).expect(2));
    }
}

#[test]
fn nothing_that_holds_a_secret_shows_it_by_its_debug_form() {
    let secret = || Secret::new(canary("debug").into_bytes()).expect("not empty");
    let text = format!(
        "[admin]\ntoken = {{ literal = \"{0}\" }}\n[sources.x]\nprovider = \"github\"\nsecrets = [{{ literal = \"{0}\" }}]\n\
         [handlers.h]\nurl = \"http://127.0.0.1:9/{0}?{0}\"\nsign_with = {{ literal = \"{0}\" }}\n\
         headers = {{ A = \"{0}\", B = {{ literal = \"{0}\" }} }}\n",
        canary("debug")
    );
    let env = Environment::of([("S", &canary("debug"))]);
    let settings = config::load_text(&text, None, &Flags::default(), &env, Keys::Look).expect("good");
    let written: ConfigText = toml::from_str(&text).expect("good");
    let verifier = VerifierSettings {
        source: settings.sources[0].name.clone(),
        preset: std::sync::Arc::clone(&settings.sources[0].preset),
        secrets: vec![("signing".to_owned(), secret())],
        awaited: Vec::new(),
        allow: None,
        tolerance: None,
        params: std::collections::BTreeMap::new(),
        kept_headers: Vec::new(),
    };
    runtime();
    let client = HttpClient::default();
    let of_handler = || HttpHandlerSettings {
        client: client.clone(),
        url: format!("http://127.0.0.1:9/?{}", canary("debug")).parse().expect("a URL"),
        headers: vec![("authorization".to_owned(), secret())],
        forward_headers: None,
        sign_with: secret(),
        resign: None,
    };
    let mut headers = Headers::new();
    headers.push("authorization", canary("debug"));
    let delivery = Delivery {
        id: DeliveryId(uuid::Uuid::nil()),
        method: "POST".into(),
        query: canary("debug").into(),
        headers,
        body: canary("debug").into(),
        received_at: Timestamp::from_unix_s(0),
    };
    let handler = HttpHandler::new(of_handler()).expect("good");
    let guard = Guard::new(Some(secret()), ([127, 0, 0, 1], 1).into());
    let shown: [&dyn std::fmt::Debug; 9] =
        [&secret(), &env, &settings, &written, &verifier, &of_handler(), &handler, &guard, &delivery];
    for value in shown {
        for text in [format!("{value:?}"), format!("{value:#?}")] {
            assert_clean(&text.replace(MARK, "…"), &text);
        }
    }
}
