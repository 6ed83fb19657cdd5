/* SPDX-License-Identifier: Apache-2.0 */
#include "http/message.h"

#include "fixture.h"

TEST(http_fields_keep_their_order_and_are_found_whatever_their_case)
{
    struct http_fields fields;
    const struct http_field *field;

    fields_fill(&fields, FIELDS("Accept", "1", "Cookie", "2", "ACCEPT", "3"));
    field = http_fields_find(&fields, span_text("accept"), NULL);
    CHECK_SPAN(field->value, "1");
    field = http_fields_find(&fields, span_text("accept"), field);
    CHECK_SPAN(field->value, "3");
    CHECK(http_fields_find(&fields, span_text("accept"), field) == NULL);
    CHECK(http_fields_find(&fields, span_text("accep"), NULL) == NULL);
    CHECK_INT(http_fields_count(&fields, span_text("aCCEPT")), 2);
    CHECK_INT(http_fields_count(&fields, span_text("x")), 0);
}

TEST(http_fields_add_stops_when_all_places_are_taken)
{
    struct http_fields fields;
    struct err err;

    CHECK_INT(http_fields_init(&fields, arena_fresh(), 1, &err), 0);
    CHECK_INT(http_fields_add(&fields, span_text("a"), span_text("b"), &err), 0);
    CHECK_INT(http_fields_add(&fields, span_text("a"), span_text("b"), &err), -1);
    CHECK_INT(err.code, ERR_TOO_LARGE);
}

TEST(http_fields_init_says_when_there_is_no_memory)
{
    struct http_fields fields;
    struct err err;

    CHECK_INT(http_fields_init(&fields, arena_fresh(), 16UL * LIMIT_HEAD, &err), -1);
    CHECK_INT(err.code, ERR_MEMORY);
}

/* C9: every spelling that CGI or WSGI would fold into the injected name. */
TEST(http_fields_remove_takes_every_lookalike_C9)
{
    struct http_fields fields;

    fields_fill(&fields, FIELDS("DD-API-KEY", "1", "Accept", "2", "dd_api_key", "3", "Dd-Api_Key",
                                "4", "DD-API-KEY2", "5", "DDAPIKEY", "6"));
    CHECK_INT(http_fields_remove(&fields, span_text("Dd-Api-Key")), 3);
    CHECK_INT(fields.count, 3);
    CHECK_SPAN(fields.items[0].name, "Accept");
    CHECK_SPAN(fields.items[1].name, "DD-API-KEY2");
    CHECK_SPAN(fields.items[2].name, "DDAPIKEY");
    CHECK_INT(http_fields_remove(&fields, span_text("Dd-Api-Key")), 0);
}

TEST(http_fields_remove_hop_takes_what_concerns_one_connection)
{
    struct http_fields fields;

    fields_fill(&fields,
                FIELDS("Connection", "keep-alive, X-Mine", "Keep-Alive", "timeout=5", "Accept", "1",
                       "X-Mine", "secret", "x_mine", "again", "TE", "trailers", "Trailer", "X",
                       "Transfer-Encoding", "chunked", "Upgrade", "h2c", "Proxy-Connection", "x",
                       "Proxy-Authorization", "Basic eA==", "Proxy-Authenticate", "Basic",
                       "Connection", ", ,Other,", "other", "x", "Authorization", "y"));
    CHECK_INT(http_fields_remove_hop(&fields, &fixture_err), 0);
    CHECK_INT(fields.count, 2);
    CHECK_SPAN(fields.items[0].name, "Accept");
    CHECK_SPAN(fields.items[1].name, "Authorization");
}

/* A client must not make us drop what origin or policy rely on. */
TEST(http_fields_remove_hop_refuses_options_that_name_end_to_end_fields)
{
    static const char *const options[] = {
        "Host",   "close, content-length", "authorization", "Content_Length",
        "COOKIE", "x,Cache-Control",       "a b",           "\"close\""};

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        struct http_fields fields;

        fields_fill(&fields, FIELDS("Host", "a", "Connection", options[i]));
        CHECK_INT(http_fields_remove_hop(&fields, &fixture_err), -1);
        CHECK_INT(fixture_err.code, ERR_SYNTAX);
        CHECK_INT(fields.count, 2);
    }
}

TEST(http_fields_remove_hop_bounds_the_number_of_options)
{
    static char options[2 * (LIMIT_FIELD_COUNT + 1) + 1];
    struct http_fields fields;

    for (size_t i = 0; i < LIMIT_FIELD_COUNT + 1; i++)
        memcpy(options + 2 * i, "x,", 2);
    fields_fill(&fields, FIELDS("Connection", options));
    CHECK_INT(http_fields_remove_hop(&fields, &fixture_err), -1);
    options[sizeof options - 3] = '\0';
    fields_fill(&fields, FIELDS("Connection", options));
    CHECK_INT(http_fields_remove_hop(&fields, &fixture_err), 0);
}

TEST(http_list_has_compares_whole_elements)
{
    CHECK(http_list_has(span_text("a, Close ,b"), span_text("close")));
    CHECK(http_list_has(span_text("close"), span_text("CLOSE")));
    CHECK(http_list_has(span_text(",,\tclose\t"), span_text("close")));
    CHECK(!http_list_has(span_text("closed, not close"), span_text("close")));
    CHECK(!http_list_has(span_text(""), span_text("close")));
}

TEST_MAIN(TEST_OF(http_fields_keep_their_order_and_are_found_whatever_their_case),
          TEST_OF(http_fields_add_stops_when_all_places_are_taken),
          TEST_OF(http_fields_init_says_when_there_is_no_memory),
          TEST_OF(http_fields_remove_takes_every_lookalike_C9),
          TEST_OF(http_fields_remove_hop_takes_what_concerns_one_connection),
          TEST_OF(http_fields_remove_hop_refuses_options_that_name_end_to_end_fields),
          TEST_OF(http_fields_remove_hop_bounds_the_number_of_options),
          TEST_OF(http_list_has_compares_whole_elements))
