//! What a system that runs out of something says, by name.

use std::io;

/// The numbers by which this system says it, and the names that Node.js has for them.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SHORTAGES: &[(i32, &str)] = &[(24, "EMFILE"), (23, "ENFILE"), (105, "ENOBUFS"), (12, "ENOMEM")];
/// Of Windows and of Winsock: `ERROR_TOO_MANY_OPEN_FILES` and `WSAEMFILE`, `WSAENOBUFS`,
/// `ERROR_NOT_ENOUGH_MEMORY` and `ERROR_OUTOFMEMORY`.
#[cfg(windows)]
const SHORTAGES: &[(i32, &str)] =
    &[(4, "EMFILE"), (10024, "EMFILE"), (10055, "ENOBUFS"), (8, "ENOMEM"), (14, "ENOMEM")];
/// Of macOS and the BSDs.
#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
const SHORTAGES: &[(i32, &str)] = &[(24, "EMFILE"), (23, "ENFILE"), (55, "ENOBUFS"), (12, "ENOMEM")];

/// The name of the error, as Node.js names it, if the process or the system has run out of descriptors,
/// buffers or memory.
pub fn shortage(error: &io::Error) -> Option<&'static str> {
    let code = error.raw_os_error()?;
    SHORTAGES.iter().find(|(number, _)| *number == code).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_name_of_the_systems_error() {
        for (code, name) in SHORTAGES {
            assert_eq!(shortage(&io::Error::from_raw_os_error(*code)), Some(*name));
        }
        // EINVAL, and a number that is no system's.
        for code in [22, 99_999] {
            assert_eq!(shortage(&io::Error::from_raw_os_error(code)), None);
        }
        assert_eq!(shortage(&io::ErrorKind::OutOfMemory.into()), None);
    }

    #[test]
    #[cfg(unix)]
    fn has_the_numbers_of_this_system() {
        let numbers = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
        assert_eq!(SHORTAGES.iter().map(|(number, _)| *number).collect::<Vec<_>>(), numbers);
    }
}
