//! HMAC-SHA256 over the raw body, as hexadecimal digits in one header.

use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName};
use sha2::Sha256;

use crate::intake::Refusal;
use crate::intake::hooks::Secrets;

/// Length of a SHA-256, in bytes.
pub(super) const BYTES: usize = 32;

/// The one value of a header.
pub(super) enum Single<'a> {
    /// There is exactly one.
    One(&'a str),
    /// There is none.
    Missing,
    /// There are several, or it holds bytes that are no text.
    Unusable,
}

/// Looks for exactly one value: of two, a proxy on the way and we could believe different ones.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Single<'a> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Single::Missing,
        (Some(value), None) => value.to_str().map_or(Single::Unusable, Single::One),
        (Some(_), Some(_)) => Single::Unusable,
    }
}

/// The 32 bytes that 64 hexadecimal digits of either case stand for.
pub(super) fn digits(text: &str) -> Result<[u8; BYTES], Refusal> {
    let mut out = [0; BYTES];
    hex::decode_to_slice(text, &mut out)
        .map_err(|_| Refusal::Unsigned("the signature is not 64 hexadecimal digits, as an HMAC-SHA256 has"))?;
    Ok(out)
}

/// Which secret signed these bytes; compares in constant time.
pub(super) fn verify(signature: &[u8; BYTES], body: &[u8], secrets: &Secrets) -> Result<u8, Refusal> {
    for (index, secret) in secrets.iter().enumerate() {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { continue };
        mac.update(body);
        if mac.verify_slice(signature).is_ok() {
            return Ok(u8::try_from(index).unwrap_or(u8::MAX));
        }
    }
    Err(Refusal::Unsigned(
        "the signature does not fit the body and the secret of this hook; compare the secret that the sender has",
    ))
}
