from cassia_dagster.agents.validate import VALIDATOR, ValidateRequest
from cassia_dagster.knowledge.evidence import check_annotation


def test_the_validator_sees_the_findings_of_the_program(beta_cells, named):
    annotation = named("type B pancreatic cell", "epithelial cell", "NOTAGENE")
    request = ValidateRequest(
        evidence=beta_cells, annotation=annotation, check=check_annotation(annotation, beta_cells)
    )
    prompt = VALIDATOR.render("user", request)
    assert '"cited_genes_absent":["NOTAGENE"]' in prompt
    assert "gene_absent" in prompt
