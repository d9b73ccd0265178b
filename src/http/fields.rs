//! The grammar of header fields (RFC 9110 §5), byte by byte.
//!
//! Used for the heads that come in; whatever writes a head of its own is to be judged by the same
//! two questions.

/// Whether this is a field's name, or a method: a token (RFC 9110 §5.1, §5.6.2, §9.1).
pub fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| is_token_byte(byte))
}

/// Whether a byte may stand in a token.
pub fn is_token_byte(byte: u8) -> bool {
    lower_token_byte(byte) != 0
}

/// A byte that may stand in a token, in lower case; 0 for one that may not.
pub(super) fn lower_token_byte(byte: u8) -> u8 {
    // By a table: a head has hundreds of them.
    const TABLE: [u8; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < table.len() {
            if matches!(byte as u8, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'!' | b'#'..=b'\''
                | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
            {
                table[byte] = (byte as u8).to_ascii_lowercase();
            }
            byte += 1;
        }
        table
    };
    TABLE[usize::from(byte)]
}

/// Whether a byte may stand in a field's value: tab, space, what is visible, and what is beyond ASCII
/// (RFC 9110 §5.5). CR, LF and NUL may not, nor may any other control character.
pub fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_token() {
        for name in [&b"Host"[..], b"sec-websocket-key", b"x", b"!#$%&'*+-.^_`|~09"] {
            assert!(is_token(name), "{name:?}");
        }
        for bad in [&b""[..], b"a b", b"a:", b"a\r", b"a\n", b"a\0", b"a\t", b"(a)", b"a/b", b"\"a\"", b"\xe4", b"a,b"]
        {
            assert!(!is_token(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_value_has_no_control_characters() {
        let bad: Vec<u8> = (0..=255).filter(|&byte| !is_value_byte(byte)).collect();
        let expected: Vec<u8> = (0..32).filter(|&byte| byte != b'\t').chain([127]).collect();
        assert_eq!(bad, expected);
    }
}
