import pytest

from mixserve.api.names import Reason
from mixserve.validate.name_checks import Claim, Name, NameKind, name_owners, names_taken
from support.manifests import pool, variant

OLD, YOUNG = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"


def claim(manifest, *, before=None):
    return Claim(pool=manifest, served_before=before)


def owners(*claims):
    """Model names and who has them."""
    found = name_owners(claims)
    return {name.text: pool.metadata.name for name, pool in found.items() if name.kind is NameKind.MODEL}


class TestOwners:
    def test_the_oldest_pool_owns_a_name(self):
        young = pool(name="a-young", created=YOUNG, servedNames=["a"])
        old = pool(name="old", created=OLD, servedNames=["a", "b"])

        assert owners(claim(young), claim(old)) == {"a": "old", "b": "old"}

    def test_of_two_of_one_age_the_first_by_name_owns_it(self):
        twins = [claim(pool(name=name, servedNames=["same"])) for name in ("zeta", "alpha")]

        assert owners(*twins) == {"same": "alpha"}

    def test_the_pools_own_name_counts_where_none_is_given(self):
        assert owners(claim(pool(name="chat"))) == {"chat": "chat"}

    def test_a_pool_that_serves_under_a_name_keeps_it_whoever_else_wants_it(self):
        young = pool(name="young", created=YOUNG, servedNames=["a"])
        old = pool(name="old", created=OLD, servedNames=["a", "b"])
        old_before = pool(name="old", created=OLD, servedNames=["b"])

        assert owners(claim(young, before=young), claim(old, before=old_before)) == {"a": "young", "b": "old"}

    def test_a_name_that_is_given_up_is_free(self):
        old = pool(name="old", created=OLD, servedNames=["b"])
        old_before = pool(name="old", created=OLD, servedNames=["a", "b"])
        young = pool(name="young", created=YOUNG, servedNames=["a"])

        assert owners(claim(old, before=old_before), claim(young)) == {"a": "young", "b": "old"}

    def test_a_pool_that_can_not_have_all_its_names_keeps_none_from_others(self):
        oldest = pool(name="oldest", created="2025-01-01T00:00:00Z", servedNames=["a"])
        old = pool(name="old", created=OLD, servedNames=["a", "b"])
        young = pool(name="young", created=YOUNG, servedNames=["b"])

        assert owners(claim(oldest), claim(old), claim(young)) == {"a": "oldest", "b": "young"}

    def test_deployments_of_two_pools_can_have_one_name(self):
        old = pool(variant("b-c"), name="a", created=OLD)
        young = pool(variant("c"), name="a-b", created=YOUNG)

        found = name_owners([claim(young), claim(old)])

        assert found[Name(NameKind.DEPLOYMENT, "a-b-c")] is old
        assert Name(NameKind.MODEL, "a-b") not in found


class TestTaken:
    def test_a_name_of_an_adapter_is_a_model_name_as_any_other(self):
        adapters = [{"name": "law", "source": "pvc://a"}, {"name": "b", "source": "pvc://b"}]
        young = pool(name="young", created=YOUNG, model={"source": "pvc://m", "adapters": adapters})
        old = pool(name="old", created=OLD, servedNames=["b"])

        (found,) = names_taken(young, name_owners([claim(young), claim(old)]))

        assert (found.reason, found.field_path) == (Reason.SERVED_NAME_TAKEN, "spec.model.adapters[1].name")
        assert "another name in spec.model.adapters" in found.remedy

    def test_a_name_of_an_older_pool_is_refused_with_its_owner(self):
        young = pool(name="young", created=YOUNG, servedNames=["a", "b"])
        old = pool(name="old", created=OLD, servedNames=["b"])

        (found,) = names_taken(young, {Name(NameKind.MODEL, "a"): young, Name(NameKind.MODEL, "b"): old})

        assert found.reason is Reason.SERVED_NAME_TAKEN
        assert found.field_path == "spec.servedNames[1]"
        assert found.cause == "the pool old answers for the model name b"
        assert found.remedy == "give this pool another name in spec.servedNames, or take the name from the pool old"

    def test_a_younger_pool_that_serves_is_not_called_older(self):
        young, old = pool(name="young", created=YOUNG), pool(name="old", created=OLD, servedNames=["young"])

        (found,) = names_taken(old, {Name(NameKind.MODEL, "young"): young})

        assert found.cause == "the pool young answers for the model name young"

    def test_a_pool_whose_own_name_is_taken_is_pointed_to_its_name(self):
        (found,) = names_taken(pool(name="young"), {Name(NameKind.MODEL, "young"): pool(name="old")})

        assert found.field_path == "metadata.name"
        assert "spec.servedNames" in found.remedy

    def test_a_variant_whose_deployment_would_be_anothers_is_refused(self):
        young = pool(variant("main"), variant("c"), name="a-b", created=YOUNG)
        old = pool(variant("b-c"), name="a", created=OLD)

        (found,) = names_taken(young, {Name(NameKind.DEPLOYMENT, "a-b-c"): old})

        assert found.reason is Reason.DEPLOYMENT_NAME_TAKEN
        assert found.field_path == "spec.variants[1].name"
        assert found.cause == ("the Deployment would be called a-b-c, after pool and variant, as one of the pool a is")
        assert found.remedy == "give the variant or this pool another name"

    @pytest.mark.parametrize("owned", [{}, {Name(NameKind.MODEL, "chat"): pool()}])
    def test_names_of_nobody_or_of_the_pool_itself_are_free(self, owned):
        assert list(names_taken(pool(), owned)) == []
