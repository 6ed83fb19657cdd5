/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EXEAT_HTTP_FRAMING_H
#define EXEAT_HTTP_FRAMING_H

#include "http/message.h"

/*
 * Where the content ends and whether the connection stays (RFC 9112 sections 6 and 9.3), from
 * fields that were read. Refuses every ambiguity: ERR_SYNTAX or ERR_UNSUPPORTED for a request,
 * ERR_ORIGIN_SYNTAX for a response.
 * A response to HEAD may have HTTP_BODY_LENGTH: that is what GET would have got, no content comes.
 */
int framing_of_request(struct http_request *request, struct err *err);
int framing_of_response(struct http_response *response, struct span method, struct err *err);

#endif
