//! The sections of a PEM text (RFC 7468), as OpenSSL and certification authorities write them: with other text
//! between, lines of any length, and headers in the keys of old (RFC 1421 §4.6).

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;

/// What stands between `-----BEGIN x-----` and `-----END x-----`.
pub(super) struct Section<'a> {
    /// The `x`.
    pub(super) label: &'a [u8],
    lines: Vec<&'a [u8]>,
}

/// The sections that end. White space around a line does not matter: PEM stands indented in programs, too. Nor does a
/// byte order mark, which editors of Windows put in front: the first certificate would be passed over by it.
pub(super) fn sections(text: &[u8]) -> Vec<Section<'_>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut sections = Vec::new();
    let mut open: Option<Section<'_>> = None;
    for line in text.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii) {
        if let Some(label) = marked(line, b"-----BEGIN ") {
            open = Some(Section { label, lines: Vec::new() });
        } else if let Some(label) = marked(line, b"-----END ") {
            sections.extend(open.take().filter(|section| section.label == label));
        } else if let Some(section) = &mut open {
            section.lines.push(line);
        }
    }
    sections
}

fn marked<'a>(line: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(mark)?.strip_suffix(b"-----")
}

impl Section<'_> {
    /// Whether a header says that the content is encrypted (RFC 1421 §4.6.1.1).
    pub(super) fn is_encrypted(&self) -> bool {
        self.lines.iter().any(|line| line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED"))
    }

    /// The content. `None`: it is no Base64.
    pub(super) fn der(&self) -> Option<Vec<u8>> {
        // That crate decodes what it takes for a key in constant time, and has no decoder without a label.
        let begin: &[u8] = b"-----BEGIN PRIVATE KEY-----";
        let end: &[u8] = b"-----END PRIVATE KEY-----";
        let wrapped = [&[begin], self.lines.as_slice(), &[end]].concat().join(&b'\n');
        Some(PrivatePkcs8KeyDer::from_pem_slice(&wrapped).ok()?.secret_pkcs8_der().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, Option<Vec<u8>>)> {
        let of = |section: Section<'_>| (String::from_utf8_lossy(section.label).into_owned(), section.der());
        sections(text.as_bytes()).into_iter().map(of).collect()
    }

    #[test]
    fn sections_stand_in_any_text_and_white_space() {
        let text = "subject=x\r\n\t -----BEGIN A B----- \r\n  YWJj\r\n\r\n ZGVm \r\n-----END A B-----\n\
            -----BEGIN C-----\rYQ==\r-----END C-----";
        assert_eq!(read(text), [("A B".to_owned(), Some(b"abcdef".to_vec())), ("C".to_owned(), Some(b"a".to_vec()))]);
    }

    #[test]
    fn a_byte_order_mark_hides_nothing() {
        let text = "\u{feff}-----BEGIN A-----\nYQ==\n-----END A-----\n-----BEGIN B-----\nYQ==\n-----END B-----\n";
        assert_eq!(read(text).len(), 2);
    }

    #[test]
    fn what_does_not_end_is_none() {
        assert_eq!(read("-----BEGIN A-----\nYQ==\n"), []);
        assert_eq!(read("-----BEGIN A-----\nYQ==\n-----END B-----\n-----END A-----"), []);
        assert_eq!(read("-----BEGIN A----\nYQ==\n-----END A----"), []);
        assert_eq!(read("-----BEGIN A-----\n-----BEGIN B-----\nYQ==\n-----END B-----").len(), 1);
        assert_eq!(read(""), []);
    }

    #[test]
    fn what_is_no_base64_is_none() {
        assert_eq!(read("-----BEGIN A-----\nY!==\n-----END A-----"), [("A".to_owned(), None)]);
    }

    #[test]
    fn a_header_of_old_is_seen() {
        let text = b"-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nYQ==\n-----END A-----";
        assert!(sections(text)[0].is_encrypted());
        assert!(!sections(b"-----BEGIN A-----\nYQ==\n-----END A-----")[0].is_encrypted());
    }
}
