//! Random characters.

use runtime::private;

/// The alphabet of what is random in a key: nothing that a URL, a shell or a double click would cut.
pub(crate) const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// So many random characters, each with log2(62) = 5.95 bits: bytes that would make some likelier than others are passed over.
pub(crate) fn base62(characters: usize) -> std::io::Result<String> {
    let mut text = String::with_capacity(characters);
    while text.len() < characters {
        for byte in private::random::<64>()? {
            if byte < 248 && text.len() < characters {
                text.push(char::from(BASE62[usize::from(byte % 62)]));
            }
        }
    }
    Ok(text)
}
