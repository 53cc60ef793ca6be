package wardgate;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.ResultSeverityEnum;
import ca.uhn.fhir.validation.SingleValidationMessage;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;

/** Reads one resource a line; answers each with `ok`, or with its errors joined by ` | `. */
public final class Validate {
  public static void main(String[] arguments) throws Exception {
    var context = FhirContext.forR4();
    var support =
        new ValidationSupportChain(
            new DefaultProfileValidationSupport(context),
            new CommonCodeSystemsTerminologyService(context),
            new InMemoryTerminologyServerValidationSupport(context),
            new SnapshotGeneratingValidationSupport(context));
    var instance = new FhirInstanceValidator(support);
    instance.setAnyExtensionsAllowed(true);
    instance.setErrorForUnknownProfiles(false);
    instance.setBestPracticeWarningLevel(BestPracticeWarningLevel.Ignore);
    FhirValidator validator = context.newValidator().registerValidatorModule(instance);

    var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      var errors = new StringBuilder();
      for (SingleValidationMessage message : validator.validateWithResult(line).getMessages()) {
        if (message.getSeverity().ordinal() < ResultSeverityEnum.ERROR.ordinal()) {
          continue;
        }
        errors.append(errors.isEmpty() ? "" : " | ");
        errors.append(message.getLocationString()).append(": ");
        errors.append(message.getMessage().replace('\n', ' '));
      }
      System.out.println(errors.isEmpty() ? "ok" : errors);
      System.out.flush();
    }
  }
}
