"""What others say beside what we say: it turns nothing about and begins no line."""

from messages.direction import one_line, straight


def test_what_turns_the_direction_of_reading_is_left_out_and_lines_stay_lines() -> None:
    assert straight("3号楼\u202e1楼\u202c\n燃气") == "3号楼1楼\n燃气"
    assert straight("\u202a138 0000 0001\u202c") == "138 0000 0001"
    assert straight("plain\n") == "plain\n"


def test_one_line_has_no_second_one_and_nothing_unseen_but_rare_characters_of_names() -> None:
    assert one_line("垃圾桶\n【红色】\u2028燃气\x1b[31m\u200b泄漏\ud800") == "垃圾桶 【红色】 燃气[31m泄漏"
    assert one_line("陈\ue123 𠮷\u3000李") == "陈\ue123 𠮷 李"
