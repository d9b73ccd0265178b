//! The negotiation of permessage-deflate (RFC 7692 §5 and §7.1), from the server's side.
//!
//! The gate calls [`negotiate`] for each opening handshake, also where no compression is wanted: a
//! field that breaks the grammar is refused in any case. An offer that asks for what it must not, or
//! for what cannot be, is declined, and the client's next one is looked at.

use http::{HeaderMap, HeaderValue};

use super::{Agreement, Compression, Context, Outbound, WINDOW_BITS_MAX, WINDOW_BITS_MIN};
use crate::protocol::extensions::{self, Parameter};
use crate::protocol::handshake::Refusal;

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// What is agreed with a client, with the value of the response's `Sec-WebSocket-Extensions`. `None`:
/// nothing, and the response has no such field. Extensions that are not known are passed over.
///
/// # Errors
///
/// [`Refusal::Extensions`] for a field that breaks its grammar.
pub fn negotiate(headers: &HeaderMap, compression: Compression) -> Result<Option<(Agreement, HeaderValue)>, Refusal> {
    let mut answer = None;
    extensions::parse(headers, |name, parameters| {
        if answer.is_none() && name == NAME {
            answer = Offer::of(parameters).and_then(|offer| Answer::to(offer, compression));
        }
    })?;
    Ok(answer.and_then(|answer| Some((answer.agreement(), answer.header()?))))
}

/// A valid offer. A window may have a size (RFC 7692 §7.1.2).
#[derive(Clone, Copy, Debug, Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    /// Offered without a value: the client has no limit of its own.
    client_max_window_bits: Option<Option<u8>>,
}

impl Offer {
    /// `None` for an offer with a parameter that is unknown, stands twice, or has no valid value
    /// (RFC 7692 §7.1).
    fn of(parameters: &[Parameter<'_>]) -> Option<Self> {
        let mut offer = Self::default();
        for Parameter { name, value } in parameters {
            let is_new = match (*name, value.as_deref()) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) => !std::mem::replace(&mut offer.server_no_context_takeover, true),
                (CLIENT_NO_CONTEXT_TAKEOVER, None) => !std::mem::replace(&mut offer.client_no_context_takeover, true),
                (SERVER_MAX_WINDOW_BITS, Some(value)) => {
                    offer.server_max_window_bits.replace(window_bits(value)?).is_none()
                }
                (CLIENT_MAX_WINDOW_BITS, None) => offer.client_max_window_bits.replace(None).is_none(),
                (CLIENT_MAX_WINDOW_BITS, Some(value)) => {
                    offer.client_max_window_bits.replace(Some(window_bits(value)?)).is_none()
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(offer)
    }
}

/// 8 to 15 without leading zeros (RFC 7692 §7.1.2.1).
fn window_bits(value: &str) -> Option<u8> {
    matches!(value, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15").then(|| value.parse().ok())?
}

/// The parameters of the response, and what they mean.
#[derive(Clone, Copy, Debug)]
struct Answer {
    compresses: bool,
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    /// The window, and whether it is said.
    server_window: (u8, bool),
    client_window: (u8, bool),
}

impl Answer {
    /// `None` declines.
    fn to(offer: Offer, compression: Compression) -> Option<Self> {
        let inbound = compression.inbound?;
        // An offered limit must be answered (§7.1.2.1); one of our own may be, and saves a client memory.
        let wanted = compression.outbound_window_bits();
        let server_window = match offer.server_max_window_bits {
            Some(..WINDOW_BITS_MIN) => return None,
            Some(limit) => (limit.min(wanted), true),
            None => (wanted, wanted < WINDOW_BITS_MAX),
        };
        // A client's window can be limited only if it said that it understands this (§7.1.2.2).
        // Otherwise nothing is kept of its messages, and it is told to keep nothing either.
        let (client_no_context_takeover, client_window) = match (inbound, offer.client_max_window_bits) {
            (Context::Shared, _) => (true, (WINDOW_BITS_MAX, false)),
            (Context::Dedicated { window_bits: WINDOW_BITS_MAX }, None | Some(None)) => {
                (offer.client_no_context_takeover, (WINDOW_BITS_MAX, false))
            }
            (Context::Dedicated { .. }, None) => (true, (WINDOW_BITS_MAX, false)),
            (Context::Dedicated { window_bits }, Some(limit)) => {
                let limit = limit.unwrap_or(WINDOW_BITS_MAX);
                (offer.client_no_context_takeover, (window_bits.min(limit), true))
            }
        };
        Some(Self {
            compresses: compression.outbound.is_some(),
            server_no_context_takeover: offer.server_no_context_takeover
                || compression.outbound == Some(Context::Shared),
            client_no_context_takeover,
            server_window,
            client_window,
        })
    }

    fn agreement(self) -> Agreement {
        let window_bits = self.server_window.0;
        let outbound = match (self.compresses, self.server_no_context_takeover) {
            (false, _) => Outbound::Plain,
            (true, true) => Outbound::Alone { window_bits },
            (true, false) => Outbound::Takeover { window_bits },
        };
        // zlib turns a window of 8 bits into one of 9, so a client that said 8 may use that.
        let inbound = (!self.client_no_context_takeover).then(|| self.client_window.0.max(WINDOW_BITS_MIN));
        Agreement::new(outbound, inbound)
    }

    fn header(self) -> Option<HeaderValue> {
        let mut value = NAME.to_owned();
        let mut say = |parameter: &str, bits: Option<u8>| {
            value.push_str("; ");
            value.push_str(parameter);
            if let Some(bits) = bits {
                value.push_str(&format!("={bits}"));
            }
        };
        if self.server_no_context_takeover {
            say(SERVER_NO_CONTEXT_TAKEOVER, None);
        }
        if self.client_no_context_takeover {
            say(CLIENT_NO_CONTEXT_TAKEOVER, None);
        }
        for (parameter, (bits, said)) in
            [(SERVER_MAX_WINDOW_BITS, self.server_window), (CLIENT_MAX_WINDOW_BITS, self.client_window)]
        {
            if said {
                say(parameter, Some(bits));
            }
        }
        HeaderValue::try_from(value).ok()
    }
}

#[cfg(test)]
mod tests {
    use http::header::SEC_WEBSOCKET_EXTENSIONS;

    use super::*;

    const SHARED: u32 = 1;
    const NO_TAKEOVERS: &str = "server_no_context_takeover; client_no_context_takeover";

    /// The parameters of the answer, and the agreement.
    fn answer(constant: u32, lines: &[&str]) -> Option<(String, Agreement)> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::try_from(*line).expect("a good value"));
        }
        let compression = Compression::from_constant(constant).expect("a good constant");
        let (agreement, value) = negotiate(&headers, compression).expect("a good field")?;
        let value = value.to_str().expect("ASCII").strip_prefix(NAME).expect("the extension's name").to_owned();
        Some((value.trim_start_matches("; ").to_owned(), agreement))
    }

    /// The same for one offer.
    fn said(constant: u32, parameters: &str) -> Option<String> {
        let line = if parameters.is_empty() { NAME.to_owned() } else { format!("{NAME}; {parameters}") };
        answer(constant, &[&line]).map(|(value, _)| value)
    }

    #[test]
    fn every_combination_that_the_constants_allow() {
        let cases = [
            (SHARED, "", NO_TAKEOVERS),
            (SHARED, "client_max_window_bits", NO_TAKEOVERS),
            (SHARED, "server_max_window_bits=15", &format!("{NO_TAKEOVERS}; server_max_window_bits=15")),
            (SHARED, "server_max_window_bits=\"9\"", &format!("{NO_TAKEOVERS}; server_max_window_bits=9")),
            (248 | 3840, "", ""),
            (248 | 3840, "client_max_window_bits", ""),
            (248 | 3840, "client_max_window_bits=10", "client_max_window_bits=10"),
            (248 | 3840, "client_max_window_bits=8", "client_max_window_bits=8"),
            (248 | 3840, "client_max_window_bits=15", "client_max_window_bits=15"),
            (248 | 3840, "server_no_context_takeover", "server_no_context_takeover"),
            (248 | 3840, "client_no_context_takeover", "client_no_context_takeover"),
            (248 | 3840, "server_max_window_bits=15", "server_max_window_bits=15"),
            (180 | 2560, "", "client_no_context_takeover; server_max_window_bits=11"),
            (180 | 2560, "client_max_window_bits", "server_max_window_bits=11; client_max_window_bits=10"),
            (
                180 | 2560,
                "client_max_window_bits=9; server_max_window_bits=10",
                "server_max_window_bits=10; client_max_window_bits=9",
            ),
            (180 | 2560, "client_max_window_bits=12", "server_max_window_bits=11; client_max_window_bits=10"),
            (256, "", "client_no_context_takeover"),
            (256, "server_no_context_takeover", NO_TAKEOVERS),
            (248, "", "client_no_context_takeover"),
        ];
        for (constant, offer, expected) in cases {
            assert_eq!(said(constant, offer).as_deref(), Some(expected), "{constant}: {offer}");
        }
        assert_eq!(said(0, ""), None);
    }

    #[test]
    fn an_agreement_is_what_was_answered() {
        let agreement = |constant, line: &str| answer(constant, &[line]).expect("an agreement").1;
        let shared = agreement(SHARED, "permessage-deflate; server_max_window_bits=12");
        assert_eq!(shared, Agreement::new(Outbound::Alone { window_bits: 12 }, None));
        assert_eq!(agreement(256, "permessage-deflate"), Agreement::new(Outbound::Plain, None));
        let dedicated = agreement(180 | 2560, "permessage-deflate; client_max_window_bits");
        assert_eq!(dedicated, Agreement::new(Outbound::Takeover { window_bits: 11 }, Some(10)));
        let unlimited = agreement(180 | 2560, "permessage-deflate; server_no_context_takeover");
        assert_eq!(unlimited, Agreement::new(Outbound::Alone { window_bits: 11 }, None));
        // zlib clients that say 8 compress with 9.
        let smallest = agreement(248 | 3840, "permessage-deflate; client_max_window_bits=8");
        assert_eq!(smallest.inbound_window_bits(), Some(9));
    }

    #[test]
    fn a_bad_offer_is_declined_and_the_next_one_tried() {
        let bad = [
            "unknown",
            "unknown=1",
            "server_no_context_takeover=1",
            "client_no_context_takeover=\"true\"",
            "server_no_context_takeover; server_no_context_takeover",
            "client_max_window_bits; client_max_window_bits=10",
            "server_max_window_bits",
            "server_max_window_bits=8",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=010",
            "server_max_window_bits=+9",
            "server_max_window_bits=1e1",
            "server_max_window_bits=10; server_max_window_bits=10",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=09",
            "client_max_window_bits=256",
            "Server_No_Context_Takeover",
        ];
        for parameters in bad {
            assert_eq!(said(SHARED, parameters), None, "{parameters}");
            let next = format!("permessage-deflate; {parameters}, permessage-deflate; server_max_window_bits=10");
            let expected = format!("{NO_TAKEOVERS}; server_max_window_bits=10");
            assert_eq!(answer(SHARED, &[&next]).map(|(value, _)| value), Some(expected), "{parameters}");
        }
    }

    #[test]
    fn the_first_offer_that_will_do_is_taken_over_all_lines() {
        let lines = ["x-webkit-deflate-frame, permessage-bzip2", "permessage-deflate; server_max_window_bits=12", NAME];
        let (value, _) = answer(SHARED, &lines).expect("an agreement");
        assert_eq!(value, format!("{NO_TAKEOVERS}; server_max_window_bits=12"));
        assert_eq!(answer(SHARED, &["permessage-deflate2", "deflate"]), None);
        assert_eq!(answer(SHARED, &[]), None);
    }

    #[test]
    fn what_breaks_the_grammar_is_refused_without_compression_too() {
        let mut headers = HeaderMap::new();
        headers.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static(NAME));
        headers.append(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("permessage-deflate; =9"));
        for compression in [Compression::DISABLED, Compression::SHARED] {
            assert_eq!(negotiate(&headers, compression), Err(Refusal::Extensions));
        }
    }
}
