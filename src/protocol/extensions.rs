//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1), as a client writes it.
//!
//! The gate's negotiation calls [`parse`] with a request's header fields and gets each offer in
//! order. Every line is checked to its end, whatever was found before. Allocates little: the
//! parameters of one offer at a time, and a value that has escapes.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::SEC_WEBSOCKET_EXTENSIONS;

use super::handshake::{Refusal, is_token_byte};

/// One parameter of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameter<'h> {
    pub(super) name: &'h str,
    /// A token, whether it was quoted or not.
    pub(super) value: Option<Cow<'h, str>>,
}

/// Calls `found` with the name and the parameters of each extension, over all lines of the field.
///
/// # Errors
///
/// [`Refusal::Extensions`] for a field that breaks the grammar, or lists nothing.
pub(super) fn parse<'h>(
    headers: &'h HeaderMap,
    mut found: impl FnMut(&'h str, &[Parameter<'h>]),
) -> Result<(), Refusal> {
    let mut lists_nothing = headers.contains_key(SEC_WEBSOCKET_EXTENSIONS);
    let mut parameters = Vec::new();
    for value in headers.get_all(SEC_WEBSOCKET_EXTENSIONS) {
        let mut line = Line { rest: value.as_bytes() };
        line.skip_empty_elements();
        while !line.rest.is_empty() {
            parameters.clear();
            let name = line.extension(&mut parameters).ok_or(Refusal::Extensions)?;
            found(name, &parameters);
            lists_nothing = false;
        }
    }
    if lists_nothing { Err(Refusal::Extensions) } else { Ok(()) }
}

/// What is left of one line. White space may stand on both sides of each separator: the grammar is
/// that of RFC 2616 §2.1, which implies it.
struct Line<'h> {
    rest: &'h [u8],
}

impl<'h> Line<'h> {
    /// `extension = token *( ";" extension-param )`, with what ends it. `None` if it is none.
    fn extension(&mut self, parameters: &mut Vec<Parameter<'h>>) -> Option<&'h str> {
        let name = self.token()?;
        while self.takes(b';') {
            let name = self.token()?;
            let value = if self.takes(b'=') { Some(self.value()?) } else { None };
            parameters.push(Parameter { name, value });
        }
        let ended = self.rest.is_empty() || self.takes(b',');
        self.skip_empty_elements();
        ended.then_some(name)
    }

    /// Elements of a list may be empty (RFC 9110 §5.6.1.2).
    fn skip_empty_elements(&mut self) {
        self.skip_blanks();
        while self.takes(b',') {}
    }

    fn skip_blanks(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Takes a separator, and the blanks behind it, if it is what comes next.
    fn takes(&mut self, separator: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == separator => {
                self.rest = rest;
                self.skip_blanks();
                true
            }
            _ => false,
        }
    }

    /// A token, and the blanks behind it.
    fn token(&mut self) -> Option<&'h str> {
        let end = self.rest.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.skip_blanks();
        if token.is_empty() { None } else { str::from_utf8(token).ok() }
    }

    /// `token | quoted-string`, where the string is a token once it is unescaped.
    fn value(&mut self) -> Option<Cow<'h, str>> {
        let [b'"', rest @ ..] = self.rest else {
            return self.token().map(Cow::Borrowed);
        };
        let mut value = String::new();
        let mut bytes = rest.iter();
        loop {
            let byte = match bytes.next()? {
                b'"' => break,
                b'\\' => bytes.next()?,
                byte => byte,
            };
            if !is_token_byte(*byte) {
                return None;
            }
            value.push(char::from(*byte));
        }
        self.rest = bytes.as_slice();
        self.skip_blanks();
        if value.is_empty() { None } else { Some(Cow::Owned(value)) }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// The extensions of a field, written plainly; `None` if it is refused.
    fn parsed(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_bytes(line.as_bytes()).expect("a good value"));
        }
        let mut out = Vec::new();
        let result = parse(&headers, |name, parameters| {
            let mut words = vec![name.to_owned()];
            words.extend(parameters.iter().map(|parameter| match &parameter.value {
                Some(value) => format!("{}={value}", parameter.name),
                None => parameter.name.to_owned(),
            }));
            out.push(words.join(";"));
        });
        assert!(matches!(result, Ok(()) | Err(Refusal::Extensions)));
        result.ok().map(|()| out.join(","))
    }

    #[test]
    fn lists_over_several_lines() {
        assert_eq!(parsed(&[]).as_deref(), Some(""));
        assert_eq!(parsed(&["a"]).as_deref(), Some("a"));
        assert_eq!(parsed(&["a; b=1; c, d", "e;f"]).as_deref(), Some("a;b=1;c,d,e;f"));
        assert_eq!(parsed(&["", ", a ,\t, b ,", " "]).as_deref(), Some("a,b"));
        assert_eq!(parsed(&["a ;\tb = 1 ,c"]).as_deref(), Some("a;b=1,c"));
    }

    #[test]
    fn quoted_values_are_tokens_once_unescaped() {
        assert_eq!(parsed(&[r#"a; b="10""#]).as_deref(), Some("a;b=10"));
        assert_eq!(parsed(&[r#"a; b="1\0" ; c, d"#]).as_deref(), Some("a;b=10;c,d"));
        for bad in [r#"a; b="""#, r#"a; b="1 0""#, r#"a; b="1,0""#, r#"a; b="\"""#, r#"a; b="10"#, r#"a; b="10\"#] {
            assert_eq!(parsed(&[bad]), None, "{bad}");
        }
        assert_eq!(parsed(&[r#"a; b="10"c"#]), None);
    }

    #[test]
    fn what_breaks_the_grammar_is_refused_wherever_it_stands() {
        for bad in
            ["", ",", " ", ";", "a;", "a;;b", "a; =1", "a; b=", "a b", "a; b c", "a; b=1 2", "a=1", "\"a\"", "ä", "a/b"]
        {
            assert_eq!(parsed(&[bad]), None, "{bad}");
            assert_eq!(parsed(&["x", &format!("y, {bad}")]).is_none(), !matches!(bad, "" | "," | " "), "{bad}");
        }
    }
}
