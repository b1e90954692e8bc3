//! What is refused or warned of when a provider is loaded, with its place.

use hookgate::preset::{Preset, PresetError, PresetWarning, ProvidersText, compile};

const CHECK: &str =
    "[[providers.acme.check]]\nkind = 'hmac'\nalgorithm = 'sha256'\nsignature = { from = 'header:S', encoding = 'hex' }\n";
const EVENT: &str = "[providers.acme.event]\nid = ['{body:/id}']\n";

fn load(text: &str) -> Result<(Preset, Vec<PresetWarning>), PresetError> {
    let providers = ProvidersText::parse(text)?.providers;
    compile("acme", &providers["acme"])
}

/// The error, which must point at `at`.
fn error(text: &str, at: &str) -> String {
    let error = load(text).expect_err(text);
    let place = error.span.clone().and_then(|span| text.get(span)).unwrap_or_default();
    assert!(place.contains(at) && (at.is_empty() || place.len() <= at.len() + 200), "{error}: points at {place:?}, not {at:?}");
    error.nearest.map_or_else(|| error.message.clone(), |nearest| format!("{} [{nearest}]", error.message))
}

#[test]
fn what_the_language_has_and_this_version_has_not_is_refused_by_name() {
    for (written, name) in [
        ("[providers.acme.event]\nderive = 'body'\nbatch = '/items'\n", "batch"),
        ("[providers.acme.event]\nderive = 'body'\nredact = ['body:/x']\n", "redact"),
        ("[providers.acme.event]\nderive = 'body'\ntime = '{body:/x}'\n", "time"),
    ] {
        let event = if written.contains("event") { "" } else { EVENT };
        let message = error(&format!("{CHECK}{written}{event}"), "");
        assert!(message.contains(&format!("`{name}` is not supported yet")), "{message}");
    }
    let message = error(&format!("[providers.acme]\nlike = 'stripe'\n{CHECK}{EVENT}"), "stripe");
    assert!(message.contains("`like` is not supported yet"), "{message}");
    for (field, at) in [
        ("kind = 'public-key'", "public-key"),
        ("algorithm = 'sha1'", "sha1"),
        ("require = [['{body}', 'x']]", "x"),
        ("each = '/items'", "/items"),
        ("key = { derive = 'sha1' }", "sha1"),
        ("key = { encoding = 'pem' }", "pem"),
        ("time = { from = 'header:T', unit = 'ms' }", "ms"),
        ("message = '{url}{body}'", "{url}"),
        ("message = '{secret}{body}'", "{secret}"),
        ("signature = { from = 'header:S', encoding = 'base64url' }", "base64url"),
        ("signature = { from = 'header:S', encoding = 'hex', repeat = true }", "true"),
        ("signature = { from = ['header:S', 'header:T'], encoding = 'hex' }", "header:T"),
        ("signature = { from = 'header:S-*', encoding = 'hex' }", "S-*"),
    ] {
        let message = error(&with(field), at);
        assert!(message.contains("not supported yet"), "{field}: {message}");
    }
}

/// The plain provider with one field of its check replaced or added.
fn with(field: &str) -> String {
    let name = field.split(' ').next().unwrap_or_default();
    let lines: Vec<&str> = CHECK.lines().filter(|line| !line.starts_with(&format!("{name} "))).chain([field]).collect();
    format!("{}\n{EVENT}", lines.join("\n"))
}

#[test]
fn an_unknown_word_is_refused_and_the_nearest_named() {
    assert!(error(&with("algorithm = 'sha265'"), "sha265").ends_with("[sha256]"));
    assert!(error(&with("kind = 'hamc'"), "hamc").ends_with("[hmac]"));
    assert!(error(&with("mesage = '{body}'"), "mesage").ends_with("[message]"));
    assert!(error(&with("message = '{boddy}'"), "boddy").ends_with("[body]"));
    assert!(error(&format!("{CHECK}{EVENT}idsigned = true\n"), "idsigned").ends_with("[id_signed]"));
    let text = format!("{CHECK}{EVENT}").replace("{body:/id}", "{param:topik}");
    let text = format!("[providers.acme]\nparams = {{ topic = 'help' }}\n{text}");
    assert!(error(&text, "topik").ends_with("[topic]"));
}

#[test]
fn a_provider_has_a_check_and_exactly_one_way_to_name_events() {
    assert!(error(EVENT, "").contains("no `check`"));
    assert!(error(CHECK, "").contains("no `event`"));
    assert!(error(&format!("{CHECK}[providers.acme.event]\ntype = ['x']\n"), "").contains("neither `id` nor `derive`"));
    assert!(error(&format!("{CHECK}{EVENT}derive = 'body'\n"), "body").contains("both there"));
    assert!(error(&format!("{CHECK}[providers.acme.event]\nid = []\n"), "[]").contains("`id` is empty"));
    assert!(error(&format!("{CHECK}[providers.acme.event]\nid = ['same']\n"), "same").contains("variable of the request"));
    assert!(error(&format!("{CHECK}[providers.acme.event]\nid = ['{{time}}']\n"), "time").contains("are read from"));
    assert!(error(&format!("{CHECK}{CHECK}{EVENT}"), "").contains("two checks `default`"));
}

#[test]
fn a_message_covers_something_of_the_body() {
    for message in ["'{header:A}'", "'{method}'", "''", "'text'"] {
        let message = error(&with(&format!("message = {message}")), "");
        assert!(message.contains("nothing of the body"), "{message}");
    }
    assert!(error(&with("message = '{time}.{body}'"), "time").contains("needs a `time` table"));
}

#[test]
fn a_time_that_nothing_signs_is_warned_of() {
    let warnings = |text: &str| load(text).expect(text).1;
    let found = warnings(&with("time = { from = 'header:T' }"));
    assert!(found.len() == 1 && found[0].message.starts_with("unsigned time"), "{found:?}");
    assert_eq!(warnings(&with("time = { from = 'body:/t' }")), [], "the body is signed");
    assert_eq!(warnings(&with("time = { from = 'header:T' }\nmessage = '{time}{body}'")), []);
    assert_eq!(warnings(&with("time = { from = 'header:T' }\nmessage = '{header:t}{body}'")), []);
}

#[test]
fn a_promise_that_the_id_is_signed_is_held_to() {
    let signed = |check: &str, id: &str| format!("{check}[providers.acme.event]\nid = ['{id}']\nid_signed = true\n");
    assert!(load(&signed(CHECK, "{body:/id}")).is_ok());
    assert!(load(&signed(CHECK, "{form:id}")).is_ok());
    assert!(error(&signed(CHECK, "{header:X-Id}"), "true").contains("does not cover the id"));
    let check = with("message = '{header:x-id}.{body}'").replace(EVENT, "");
    assert!(load(&signed(&check, "{header:X-Id}")).is_ok());
    let check = with("message = '{body:/other}'").replace(EVENT, "");
    assert!(error(&signed(&check, "{body:/id}"), "true").contains("does not cover the id"));
    let delivery = format!("{CHECK}[providers.acme.event]\nderive = 'delivery'\nid_signed = true\n");
    assert!(error(&delivery, "true").contains("nothing signs"));
}

#[test]
fn the_fields_of_a_signature_fit_each_other() {
    for (fields, expected) in [
        ("from = 'header:S'", "needs its `encoding`"),
        ("from = 'method', encoding = 'hex'", "a signature is in"),
        ("from = 'signature:t', encoding = 'hex'", "a signature is in"),
        ("from = 7, encoding = 'hex'", "one locator"),
        ("from = 'header:S', encoding = 'hex', pair = '='", "`pair` needs `key`"),
        ("from = 'header:S', encoding = 'hex', key = 'v1'", "`key` needs `pair`"),
        ("from = 'header:S', encoding = 'hex', pair = '=', key = []", "a name or a list"),
        ("from = 'header:S', encoding = 'hex', skip = 1", "`skip` needs `split`"),
        ("from = 'header:S', encoding = 'hex', split = ',', pair = '=', key = 'v1', skip = 1", "without names"),
        ("from = 'header:S', encoding = 'hex', split = ''", "`split` is empty"),
        ("from = 'header:S', encoding = 'hex', prefix = ''", "`prefix` is empty"),
    ] {
        let message = error(&with(&format!("signature = {{ {fields} }}")), "");
        assert!(message.contains(expected), "{fields}: {message}");
    }
    for (time, rest, expected) in [
        ("signature:t", "", "needs `pair` and `key`"),
        ("signature:#0", ", split = ','", "is a signature itself"),
        ("signature:#0", ", split = ',', pair = '=', key = 'v1'", "needs elements without names"),
        ("signature:v1", ", split = ',', pair = '=', key = 'v1'", "is the signature itself"),
        ("body", "", "a time is in"),
    ] {
        let signature = format!("signature = {{ from = 'header:S', encoding = 'hex'{rest} }}");
        let message = error(&with(&format!("{signature}\ntime = {{ from = '{time}' }}")), "");
        assert!(message.contains(expected), "{time}: {message}");
    }
}

#[test]
fn what_is_answered_is_within_reason() {
    let ack = |field: &str| format!("{CHECK}{EVENT}[providers.acme.ack]\n{field}\n");
    for (field, at) in [
        ("status = 500", "500"),
        ("status = 302", "302"),
        ("reject = 200", "200"),
        ("deadline = 1", "1"),
        ("type = \"a\\nb\"", "a"),
    ] {
        error(&ack(field), at);
    }
    let (preset, _) =
        load(&ack("status = 204\nreject = 403\ndeadline = 3\nretries_for = 0\nbody = 'ok'\ntype = 'text/plain'")).expect("right");
    let rule = preset.ack();
    assert_eq!((rule.status, rule.reject, rule.deadline.as_secs(), rule.body.as_str()), (204, 403, 3, "ok"));
    assert_eq!((rule.retries_for, rule.resend_for), (Some(std::time::Duration::ZERO), None));
}

#[test]
fn head_and_names_keep_their_rules() {
    let head = |field: &str| format!("[providers.acme]\n{field}\n{CHECK}{EVENT}");
    for (field, at) in
        [("methods = []", ""), ("methods = ['post']", "post"), ("mark = 'proven'", "proven"), ("titel = 'x'", "titel")]
    {
        error(&head(field), at);
    }
    let text = format!("{CHECK}{EVENT}").replace("acme", "\"a b\"");
    let providers = ProvidersText::parse(&text).expect("right shape").providers;
    assert!(compile("a b", &providers["a b"]).expect_err("no name").message.contains("no provider name"));
}

const TOKEN: &str = "[[providers.acme.check]]\nkind = 'token'\nsignature = { from = 'header:X-Token' }\n";

#[test]
fn a_token_is_compared_as_it_stands_and_says_where_it_is() {
    for (check, expected) in [
        ("kind = 'token'\n", "needs its `signature`"),
        ("kind = 'token'\nsignature = { from = 'header:T', encoding = 'hex' }\n", "no `encoding`"),
        ("kind = 'token'\nalgorithm = 'sha256'\nsignature = { from = 'header:T' }\n", "no `algorithm`"),
        ("kind = 'token'\nmessage = '{body}'\nsignature = { from = 'header:T' }\n", "no `message`"),
        ("kind = 'token'\ntime = { from = 'header:X' }\nsignature = { from = 'header:T' }\n", "no `time`"),
        ("kind = 'token'\nkey = { strip = 'x' }\nsignature = { from = 'header:T' }\n", "no `key`"),
        ("kind = 'token'\nsignature = { from = 'method' }\n", "a signature is in"),
        ("kind = 'basic'\nsignature = { from = 'header:T' }\n", "reads the header `Authorization`"),
    ] {
        let message = error(&format!("[[providers.acme.check]]\n{check}{EVENT}"), "");
        assert!(message.contains(expected), "{check}: {message}");
    }
    let (preset, warnings) = load(&format!("{TOKEN}{EVENT}")).expect("right");
    assert_eq!(warnings, []);
    assert!(preset.sentence(None, None).contains("proves who sends, not what the body says"));
    let (_, warnings) = load(&format!("{}{EVENT}", TOKEN.replace("header:X-Token", "form:token"))).expect("right");
    assert!(warnings.len() == 1 && warnings[0].message.contains("stored and handed on"), "{warnings:?}");
}

#[test]
fn a_token_covers_no_id_and_becomes_none() {
    let signed = format!("{TOKEN}[providers.acme.event]\nid = ['{{body:/id}}']\nid_signed = true\n");
    assert!(error(&signed, "true").contains("does not cover the id"));
    for event in ["id = ['{header:x-token}']", "id = ['{body:/id}']\ntype = ['{header:X-Token}']"] {
        let message = error(&format!("{TOKEN}[providers.acme.event]\n{event}\n"), "");
        assert!(message.contains("the secret itself"), "{event}: {message}");
    }
}

#[test]
fn a_handshake_keeps_its_rules() {
    for (fields, expected) in [
        ("", "`when` is empty"),
        ("verified = true", "`when` is empty"),
        ("when = [['{query:a}', 'b', 'c']]", "a condition is"),
        ("when = [[]]", "a condition is"),
        ("when = ['{query:a}']", "a condition is"),
        ("when = [{ value = '{query:a}', regex = 'b' }]", "`regex` is not supported yet"),
        ("when = [['a', 'b']]", "a variable of the request"),
        ("when = [['{body}', 'b']]", "a condition reads"),
        ("when = [['{time}', 'b']]", "a condition reads"),
        ("when = [['{secret:a}']]", "stands alone on one side"),
        ("when = [['{query:a}', 'x{secret:a}']]", "stands alone on one side"),
        ("when = [['{secret:a}', '{secret:b}']]", "stands alone on one side"),
        ("when = [['{query:a}']]\nmethod = 'get'", "upper case"),
        ("when = [['{query:a}']]\nlimit = 513", "1 to 512"),
        ("when = [['{query:a}']]\nlimit = 0", "1 to 512"),
        ("when = [['{query:a}']]\nrespond = { body = '{computed}' }", "needs a `compute` table"),
        ("when = [['{query:a}']]\nlearn = { slot = 'signing' }", "`learn` is not supported yet"),
        ("when = [['{query:a}']]\nrespond = { body = '{query:a}', type = 'text/html' }", "only be `text/plain`"),
        ("when = [['{query:a}']]\nrespond = { json = { a = 1 }, type = 'text/plain' }", "only be `application/json`"),
        ("when = [['{query:a}']]\nrespond = { json = { a = 1 }, body = 'x' }", "both there"),
        ("when = [['{query:a}']]\nrespond = { json = 'x' }", "`json` is a table"),
        ("when = [['{query:a}']]\nrespond = { json = { a = 1.5 } }", "whole numbers"),
        ("when = [['{query:a}']]\nrespond = { body = '{secret:verify}' }", "an answer is made of"),
        ("when = [['{query:a}']]\nrespond = { body = '{body}' }", "an answer is made of"),
        ("when = [['{query:a}']]\nrespond = { json = { a = ['{sha256:hex:body}'] } }", "an answer is made of"),
        ("when = [['{query:a}']]\nrespond = { status = 302 }", "200 to 299"),
        ("when = [['{query:a}']]\nrespond = { headers = { Set-Cookie = 'x' } }", "not a preset's to set"),
        ("when = [['{query:a}']]\nrespond = { headers = { Content-Type = 'text/html' } }", "not a preset's to set"),
        ("when = [['{query:a}']]\nrespond = { headers = { Location = 'x' } }", "not a preset's to set"),
        ("when = [['{query:a}']]\nrespond = { headers = { 'a b' = 'x' } }", "no header name"),
        ("when = [['{query:a}']]\nrespond = { headers = { A = \"x\\r\\ny\" } }", "no control characters"),
    ] {
        let message = error(&format!("{CHECK}{EVENT}[[providers.acme.handshake]]\n{fields}\n"), "");
        assert!(message.contains(expected), "{fields}: {message}");
    }
    let message = error(&with("message = '{secret:signing}{body}'"), "secret");
    assert!(message.contains("for a handshake only"), "{message}");
    let (preset, _) = load(&format!("{CHECK}{EVENT}[[providers.acme.handshake]]\nmethod = 'GET'\n")).expect("any GET");
    assert_eq!(preset.taken_methods(), ["POST", "GET"]);
}

#[test]
fn a_handshake_computes_over_the_request_and_never_what_a_check_takes() {
    let with = |compute: &str, verified: bool, message: &str| {
        format!(
            "{CHECK}message = '{message}'\n{EVENT}[[providers.acme.handshake]]\nwhen = [['{{query:a}}']]\nverified = {verified}\n\
             compute = {{ {compute} }}\nrespond = {{ json = {{ b = '{{computed}}' }} }}\n"
        )
    };
    let hmac = "kind = 'hmac', algorithm = 'sha256', encoding = 'hex', message = '{query:a}'";
    assert!(load(&with(hmac, true, "{body}")).is_ok());
    assert!(load(&with(hmac, false, "{body}")).is_ok());
    assert!(load(&with(hmac, true, "{body:/id}")).is_ok(), "the check has passed before");
    for message in ["{body:/id}", "{sha256:hex:body}", "{form:id}"] {
        let fault = error(&with(hmac, false, message), "");
        assert!(fault.contains("anybody could have signed"), "{message}: {fault}");
        let other = format!("{hmac}, secret = 'other'");
        assert!(load(&with(&other, false, message)).is_ok(), "another secret: {message}");
    }
    for (compute, expected) in [
        (hmac.replace("'hmac'", "'hash'"), "not supported yet"),
        (hmac.replace("sha256", "sha1"), "not supported yet"),
        (hmac.replace("hex", "octal"), "is none of hex, base64"),
        (hmac.replace("{query:a}", "{body}"), "is made of"),
        (hmac.replace("{query:a}", "{secret:x}"), "is made of"),
        (hmac.replace("{query:a}", "text"), "is made of"),
    ] {
        let fault = error(&with(&compute, true, "{body}"), "");
        assert!(fault.contains(expected), "{compute}: {fault}");
    }
}

#[test]
fn a_check_that_proves_nothing_stands_alone_and_says_so() {
    let none = "[[providers.acme.check]]\nkind = 'none'\n";
    let (preset, _) = load(&format!("{none}{EVENT}")).expect("right");
    assert!(preset.is_unsigned() && preset.slots().is_empty() && preset.allowed(None).is_empty());
    let all = ["default".to_owned()];
    assert!(preset.sentence(Some(&all), None).starts_with("not signed: whoever knows the URL can send"));
    assert!(error(&format!("{none}{}{EVENT}", CHECK.replace("kind", "id = 'other'\nkind")), "").contains("stands alone"));
    for (field, expected) in [
        ("algorithm = 'sha256'", "no `algorithm`"),
        ("secret = 'x'", "neither `secret` nor `signature`"),
        ("signature = { from = 'header:S' }", "neither `secret` nor `signature`"),
        ("message = '{body}'", "no `message`"),
    ] {
        let fault = error(&format!("{none}{field}\n{EVENT}"), "");
        assert!(fault.contains(expected), "{field}: {fault}");
    }
    let signed = format!("{none}[providers.acme.event]\nid = ['{{body:/id}}']\nid_signed = true\n");
    assert!(error(&signed, "true").contains("does not cover the id"));
}
