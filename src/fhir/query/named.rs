/// The name of a condition taken apart (R4 section 3.1.1.4): `name`, `name:modifier`, `name.chain`,
/// `name:Type.chain`, `_has:Type:parameter:rest`. What stands behind the dot, or behind the second colon of
/// `_has`, is such a name again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'n> {
    /// The parameter.
    pub name: &'n str,
    /// What stands behind its colon: a modifier or, for references, a type; of `_has`, all the rest.
    pub modifier: Option<&'n str>,
    /// What stands behind a dot: the rest of a chain.
    pub chain: Option<&'n str>,
}

impl<'n> Named<'n> {
    /// Takes a name apart. Any text has parts; whether a parameter is called so is not looked at.
    pub fn of(text: &'n str) -> Self {
        let Some(end) = text.find([':', '.']) else {
            return Self { name: text, modifier: None, chain: None };
        };
        let (name, behind) = text.split_at(end);
        let (modifier, chain) = match behind.strip_prefix(':') {
            // The parameter is behind the second colon, and may have what any parameter has.
            Some(rest) if name == "_has" => (Some(rest), None),
            None => (None, behind.strip_prefix('.')),
            Some(rest) => match rest.split_once('.') {
                Some((modifier, chain)) => (Some(modifier), Some(chain)),
                None => (Some(rest), None),
            },
        };
        Self { name, modifier, chain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_a_name_again() {
        let one =
            Named::of("subject:Patient.organization._has:PractitionerRole:organization:active");
        assert_eq!((one.name, one.modifier), ("subject", Some("Patient")));
        let two = Named::of(one.chain.unwrap());
        assert_eq!((two.name, two.modifier), ("organization", None));
        let three = Named::of(two.chain.unwrap());
        assert_eq!((three.name, three.chain), ("_has", None));
        assert_eq!(three.modifier, Some("PractitionerRole:organization:active"));
        let plain = Named::of("name:exact");
        assert_eq!((plain.name, plain.modifier, plain.chain), ("name", Some("exact"), None));
        assert_eq!(Named::of(""), Named { name: "", modifier: None, chain: None });
    }
}
