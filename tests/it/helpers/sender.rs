//! Signs as providers do. Written from their pages and on another implementation of HMAC than the gateway's: it shares
//! nothing with `src/verify`, so that a mistake there is not made twice.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// Header fields as a provider sends them.
pub(crate) type Fields = Vec<(String, String)>;

/// Stripe: `Stripe-Signature: t=..,v1=..`, hex, the whole secret's text is the key.
pub(crate) fn stripe(secret: &str, now_s: i64, body: &[u8]) -> Fields {
    let signature = stripe_signature(secret, &now_s.to_string(), body);
    fields(&[("Content-Type", "application/json; charset=utf-8"), ("Stripe-Signature", &format!("t={now_s},v1={signature}"))])
}

/// The hex digits of one `v1`, for any text in the place of the time.
pub(crate) fn stripe_signature(secret: &str, time: &str, body: &[u8]) -> String {
    hex_text(&tag(hmac::HMAC_SHA256, secret.as_bytes(), &[time.as_bytes(), b".", body]))
}

/// GitHub: `X-Hub-Signature-256: sha256=..` over the body alone, id and type in headers that nothing signs.
pub(crate) fn github(secret: &str, delivery: &str, event: &str, body: &[u8]) -> Fields {
    let signature = hex_text(&tag(hmac::HMAC_SHA256, secret.as_bytes(), &[body]));
    fields(&[
        ("Content-Type", "application/json"),
        ("X-GitHub-Delivery", delivery),
        ("X-GitHub-Event", event),
        ("X-Hub-Signature-256", &format!("sha256={signature}")),
    ])
}

/// Standard Webhooks: `webhook-signature: v1,..` over id, time and body, base64, a base64 key after `whsec_`.
pub(crate) fn standard_webhooks(secret: &str, id: &str, now_s: i64, body: &[u8]) -> Fields {
    let signature = standard_webhooks_signature(secret, id, &now_s.to_string(), body);
    fields(&[
        ("Content-Type", "application/json"),
        ("webhook-id", id),
        ("webhook-timestamp", &now_s.to_string()),
        ("webhook-signature", &format!("v1,{signature}")),
    ])
}

/// The base64 text of one `v1`, for any text in the place of the time.
pub(crate) fn standard_webhooks_signature(secret: &str, id: &str, time: &str, body: &[u8]) -> String {
    let text = secret.strip_prefix("whsec_").unwrap_or(secret);
    let key = STANDARD.decode(text).expect("a base64 secret");
    STANDARD.encode(tag(hmac::HMAC_SHA256, &key, &[id.as_bytes(), b".", time.as_bytes(), b".", body]))
}

/// Slack: `X-Slack-Signature: v0=..` over `v0:`, time, `:` and body, hex, the secret's text is the key.
pub(crate) fn slack(secret: &str, now_s: i64, content_type: &str, body: &[u8]) -> Fields {
    let time = now_s.to_string();
    let signature = hex_text(&tag(hmac::HMAC_SHA256, secret.as_bytes(), &[b"v0:", time.as_bytes(), b":", body]));
    fields(&[
        ("Content-Type", content_type),
        ("X-Slack-Request-Timestamp", &time),
        ("X-Slack-Signature", &format!("v0={signature}")),
    ])
}

/// GitLab with a secret token: the token itself, ids and types in headers that nothing signs.
pub(crate) fn gitlab(token: &str, id: &str) -> Fields {
    fields(&[
        ("Content-Type", "application/json"),
        ("X-Gitlab-Event", "Push Hook"),
        ("Idempotency-Key", id),
        ("X-Gitlab-Token", token),
    ])
}

/// An HMAC over parts.
pub(crate) fn tag(algorithm: hmac::Algorithm, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
    parts.iter().for_each(|part| context.update(part));
    context.sign().as_ref().to_vec()
}

/// Lower-case hex digits.
pub(crate) fn hex_text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Owned header fields.
pub(crate) fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
