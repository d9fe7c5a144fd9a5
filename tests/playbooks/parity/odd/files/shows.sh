#!/bin/sh
printf "%s|" "$A" "$B" "$NUMBER" "$YES" "${EMPTY-unset}" "$UMLAUT" "$SPACES" "$QUOTES" "$DOLLAR"
