//! What the description says of every route alike.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr};

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// Problems have their own content type (RFC 9457, 6.1), and every route takes an operator's token.
pub(super) fn whole(document: &mut OpenApi) {
    let problem = RefOr::Ref(Ref::from_schema_name("ProblemBody"));
    for item in document.paths.paths.values_mut() {
        let all = [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in all.into_iter().flatten() {
            for (status, response) in &mut operation.responses.responses {
                let RefOr::T(response) = response else { continue };
                let is_problem = response
                    .content
                    .get(JSON)
                    .is_some_and(|content| matches!(content, RefOr::T(one) if one.schema.as_ref() == Some(&problem)));
                if is_problem && let Some(content) = response.content.shift_remove(JSON) {
                    response.content.insert(PROBLEM.to_owned(), content);
                } else if status == "422" {
                    // A mapping's report, or that an Idempotency-Key was used for something else.
                    let content = Content::new(Some(problem.clone()));
                    response.content.insert(PROBLEM.to_owned(), content.into());
                }
            }
        }
    }
    let token = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token of the operators' issuer."));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("operator", SecurityScheme::Http(token.build()));
    document.security = Some(vec![SecurityRequirement::new("operator", [""; 0])]);
}
